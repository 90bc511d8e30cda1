// The way in: signing in and signing up.

import { call } from './api.js';
import { busy, clearFailure, complete, copyableCode, showFailure, warnElsewhere } from './page.js';
import { hasPasskeys, usePasskey } from './passkeys.js';
import { logIn } from './prove.js';
import { watchStatus } from './status.js';

const sections = { signIn: document.getElementById('sign-in'), signUp: document.getElementById('sign-up') };

function choose() {
  const isSignUp = location.hash === '#sign-up';
  sections.signIn.hidden = isSignUp;
  sections.signUp.hidden = !isSignUp;
  return isSignUp ? sections.signUp : sections.signIn;
}

/** What stood in the address was for this page; where a platform's consent leads stays. */
function goIn() {
  const connected = new URLSearchParams(location.search).get('connected');
  location.replace(connected ? `/?connected=${encodeURIComponent(connected)}` : '/');
}

function enter(form, begin) {
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (!complete(form)) return;
    busy(form.querySelector('[type=submit]'), async () => {
      try {
        if (await begin(Object.fromEntries(new FormData(form)))) goIn();
      } catch (failure) {
        if (failure.code === 'invalid_credentials') {
          showFailure(form, { ...failure, fields: [], message: 'E-mail or password is wrong. Check both and try again.', page: null });
          form.elements.password.select();
        } else if (failure.code === 'conflict') {
          showFailure(form, { fields: [{ pointer: '/email', detail: failure.message }] });
        } else {
          showFailure(form, failure);
        }
      }
    });
  });
}

enter(sections.signIn.querySelector('form'), logIn);
enter(sections.signUp.querySelector('form'), (fields) => call('POST', '/api/sign-up', fields));

const passkey = document.getElementById('passkey');
passkey.hidden = !hasPasskeys;
passkey.addEventListener('click', () => busy(passkey, async () => {
  const form = sections.signIn.querySelector('form');
  clearFailure(form);
  try {
    const { challenge, options } = await call('POST', '/api/login/passkey/start');
    await call('POST', '/api/login/passkey', { challenge, credential: await usePasskey(options) });
    goIn();
  } catch (failure) {
    showFailure(form, failure);
  }
}));
addEventListener('hashchange', () => choose().querySelector('input').focus());
choose();
document.getElementById('ended').hidden = !new URLSearchParams(location.search).has('ended');
warnElsewhere(document.querySelector('[data-origin]').dataset.origin);
copyableCode(document);
watchStatus();
