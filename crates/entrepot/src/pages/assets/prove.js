// Proving who one is: the second step of signing in, and again where something asks for it.

import { call, proveWith } from './api.js';
import { hasPasskeys, usePasskey } from './passkeys.js';
import { busy, clearFailure, complete, make, showFailure } from './page.js';

const FIELDS = {
  password: { label: 'Password', type: 'password', autocomplete: 'current-password', maxlength: 200 },
  totp: { name: 'totp_code', label: 'Code of your authenticator app', inputmode: 'numeric', autocomplete: 'one-time-code', maxlength: 20 },
  recovery_code: { label: 'Recovery code', autocomplete: 'off', maxlength: 40, spellcheck: 'false' },
};
const INSTEAD = { totp: 'Use your authenticator app', recovery_code: 'Use a recovery code' };

/**
 * A dialog that asks for one of these factors, and gives what `submit` makes of it; null when it is closed. `question` says what to
 * ask a passkey: its options, and a challenge to send back where there is one.
 */
export function prove({ title, text, factors, question, submit }) {
  const typed = factors.filter((factor) => FIELDS[factor]);
  const canUsePasskey = factors.includes('passkey') && hasPasskeys && question;
  return new Promise((resolve) => {
    const form = make('form', { novalidate: true });
    const dialog = make('dialog', { 'aria-label': title }, form);
    let done = null;
    const settle = async (button, proof) => busy(button, async () => {
      clearFailure(form);
      try {
        done = await submit(await proof());
        dialog.close();
      } catch (failure) {
        if (failure.status === undefined) throw failure;
        // The whole attempt is over; this dialog cannot mend it.
        if (failure.code === 'challenge_invalid' || failure.status === 401) form.querySelector('[type=submit]')?.setAttribute('hidden', '');
        showFailure(form, failure.code === 'factor_refused' ? { ...failure, message: failure.message, page: null } : failure);
        form.querySelector('input')?.select();
      }
    });
    const show = (factor) => {
      const heading = [make('h2', {}, title), make('p', { class: 'muted' }, text)];
      const close = make('button', { class: 'button', type: 'button', onclick: () => dialog.close() }, 'Cancel');
      const content = [];
      if (canUsePasskey) {
        const button = make('button', { class: 'button primary wide', type: 'button' }, 'Use a passkey');
        button.onclick = () => settle(button, async () => {
          const { challenge, options } = await question();
          const credential = await usePasskey(options);
          return { passkey: challenge ? { challenge, credential } : { credential } };
        });
        content.push(button);
      }
      const actions = [close];
      if (factor) {
        const { label, name = factor, ...attributes } = FIELDS[factor];
        content.push(make('div', { class: 'field' }, make('label', { for: 'proof' }, label), make('input', { id: 'proof', name, required: true, ...attributes })));
        const others = typed.filter((other) => other !== factor && INSTEAD[other]);
        content.push(...others.map((other) => make('button', { class: 'link', type: 'button', onclick: () => show(other) }, INSTEAD[other])));
        const button = make('button', { class: canUsePasskey ? 'button' : 'button primary', type: 'submit' }, 'Continue');
        actions.push(button);
        form.onsubmit = (event) => {
          event.preventDefault();
          if (complete(form)) settle(button, async () => ({ [name]: form.elements[name].value.trim() }));
        };
      }
      form.replaceChildren(...heading, ...content, make('div', { class: 'dialog-actions' }, ...actions));
      (form.querySelector('input') || form.querySelector('button')).focus();
    };
    dialog.addEventListener('close', () => { dialog.remove(); resolve(done); });
    document.body.append(dialog);
    dialog.showModal();
    show(typed[0]);
  });
}

/** Signs in; the session, or null when the second step was not taken. */
export async function logIn(fields) {
  const answer = await call('POST', '/api/login', fields);
  if (!answer.pending_login) return answer;
  return prove({
    title: 'One more step',
    text: 'Your account has a second factor. Show it to sign in.',
    factors: answer.factors,
    question: answer.passkey_options && (async () => ({ options: answer.passkey_options })),
    submit: (proof) => call('POST', '/api/login/second-factor', { pending_login: answer.pending_login, ...proof }),
  });
}

/** From now on, whatever asks for a proof gets one from the person, and is sent again. */
export function proveWhenAsked() {
  proveWith((factors) => prove({
    title: 'Is it still you?',
    text: 'What you are about to do asks for a proof. It lasts for ten minutes.',
    factors,
    question: () => call('POST', '/api/sessions/current/proof/passkey'),
    submit: (proof) => call('POST', '/api/sessions/current/proof', proof),
  }));
}
