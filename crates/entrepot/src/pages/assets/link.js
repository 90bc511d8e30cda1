// Where the links in mails lead: confirming an address, a new password, an invitation. What a link proves stands behind `#`,
// and is used only when a person presses the button: programs that look at mails follow links too.

import { actAs, call } from './api.js';
import { busy, complete, showFailure } from './page.js';
import { logIn } from './prove.js';

const form = document.querySelector('form');
const button = form.querySelector('[type=submit]');
const [what, token] = location.hash.slice(1).split('=');
// Not left in the address for whoever looks over a shoulder or into the history.
history.replaceState(null, '', location.pathname);

function say(title, text) {
  document.getElementById('link-title').textContent = title;
  document.getElementById('link-text').textContent = text;
}

function ask(title, text, label, fields, act) {
  say(title, text);
  for (const name of ['name', 'password']) {
    document.getElementById(`${name}-field`).hidden = !fields.includes(name);
    form.elements[name].required = fields.includes(name);
  }
  button.textContent = label;
  form.hidden = false;
  form.onsubmit = (event) => {
    event.preventDefault();
    if (!complete(form)) return;
    busy(button, async () => {
      try {
        await act(Object.fromEntries(fields.map((name) => [name, form.elements[name].value])));
      } catch (failure) {
        if (failure.code === 'link_invalid') end(failure.title, failure.message);
        else showFailure(form, failure);
      }
    });
  };
}

function end(title, text) {
  form.hidden = true;
  say(title, text);
}

async function invitation() {
  const offer = await call('POST', '/api/invitations/look', { token });
  const role = offer.role.replaceAll('_', ' ');
  const title = `Work in ${offer.organization_name}`;
  const text = `${offer.email} is invited as ${role}.`;
  if (!offer.has_account) {
    ask(title, `${text} Make your account to accept.`, 'Accept', ['name', 'password'], async (fields) => {
      await call('POST', '/api/invitations/accept-as-new', { token, ...fields });
      location.replace('/');
    });
    return;
  }
  const me = await call('GET', '/api/me').catch(() => null);
  if (me && me.user.email === offer.email) {
    actAs({ csrf: me.csrf_token });
    ask(title, text, 'Accept', [], async () => {
      await call('POST', '/api/invitations/accept', { token });
      location.replace('/');
    });
    return;
  }
  ask(title, `${text} Sign in with that e-mail to accept.`, 'Sign in and accept', ['password'], async ({ password }) => {
    const session = await logIn({ email: offer.email, password });
    if (!session) return;
    actAs({ csrf: session.csrf_token });
    await call('POST', '/api/invitations/accept', { token });
    location.replace('/');
  });
}

async function start() {
  if (what === 'verify' && token) {
    ask('Confirm your e-mail', 'Press the button, and it is done.', 'Confirm', [], async () => {
      await call('POST', '/api/email-verification/confirm', { token });
      end('Your e-mail is confirmed', 'You can invite others now.');
    });
  } else if (what === 'reset' && token) {
    ask('Choose a new password', 'You will be signed out everywhere.', 'Set the password', ['password'], async (fields) => {
      await call('POST', '/api/password-reset/confirm', { token, ...fields });
      end('Your password is set', 'Sign in with it on the front page.');
    });
  } else if (what === 'invitation' && token) {
    await invitation().catch((failure) => end(failure.title, failure.message));
  } else {
    end('There is nothing behind this link', 'Open it from the mail again: it has to be complete.');
  }
}

start();
