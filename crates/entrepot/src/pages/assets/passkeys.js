// Passkeys, as the browser has them. Bytes travel as base64url.

import { Failure } from './api.js';

/** Whether this browser has passkeys, and may use them here. */
export const hasPasskeys = isSecureContext && 'PublicKeyCredential' in window;

const bytes = (text) => Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
const named = (descriptors) => (descriptors || []).map((descriptor) => ({ ...descriptor, id: bytes(descriptor.id) }));

/** Whoever closes the browser's window, and whoever has no passkey here, are told apart by nobody. */
async function ask(work) {
  try {
    return await work();
  } catch (error) {
    const known = error.name === 'InvalidStateError' ? 'This device has a passkey for your account already.' : 'The passkey was not used: the window was closed, it took too long, or there is none on this device.';
    throw new Failure(0, { title: 'No passkey', detail: known });
  }
}

/** Has the authenticator make a passkey. */
export async function makePasskey(options) {
  const publicKey = { ...options, challenge: bytes(options.challenge), user: { ...options.user, id: bytes(options.user.id) }, excludeCredentials: named(options.excludeCredentials) };
  const { id, response } = await ask(() => navigator.credentials.create({ publicKey }));
  return { id, response: { clientDataJSON: text(response.clientDataJSON), attestationObject: text(response.attestationObject), transports: response.getTransports?.() ?? [] } };
}

/** Has the authenticator prove by a passkey who is there. */
export async function usePasskey(options) {
  const publicKey = { ...options, challenge: bytes(options.challenge), allowCredentials: named(options.allowCredentials) };
  const { id, response } = await ask(() => navigator.credentials.get({ publicKey }));
  return { id, response: { clientDataJSON: text(response.clientDataJSON), authenticatorData: text(response.authenticatorData), signature: text(response.signature), userHandle: response.userHandle ? text(response.userHandle) : null } };
}
