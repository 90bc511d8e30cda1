// The way in: signing in and signing up.

import { call } from './api.js';
import { busy, complete, copyableCode, showFailure, warnElsewhere } from './page.js';
import { watchStatus } from './status.js';

const sections = { signIn: document.getElementById('sign-in'), signUp: document.getElementById('sign-up') };

function choose() {
  const isSignUp = location.hash === '#sign-up';
  sections.signIn.hidden = isSignUp;
  sections.signUp.hidden = !isSignUp;
  return isSignUp ? sections.signUp : sections.signIn;
}

function enter(form, path) {
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (!complete(form)) return;
    busy(form.querySelector('[type=submit]'), async () => {
      try {
        await call('POST', path, Object.fromEntries(new FormData(form)));
        // What stood in the address was for this page; where a platform's consent leads stays.
        const connected = new URLSearchParams(location.search).get('connected');
        location.replace(connected ? `/?connected=${encodeURIComponent(connected)}` : '/');
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

enter(sections.signIn.querySelector('form'), '/api/login');
enter(sections.signUp.querySelector('form'), '/api/sign-up');
addEventListener('hashchange', () => choose().querySelector('input').focus());
choose();
document.getElementById('ended').hidden = !new URLSearchParams(location.search).has('ended');
warnElsewhere(document.querySelector('[data-origin]').dataset.origin);
copyableCode(document);
watchStatus();
