// The API as the pages call it: the session's cookie, the CSRF token, the chosen organization.

const context = { csrf: null, organization: null, prove: null };

/** Tells the module who is calling: the token of GET /api/me and the organization that is meant. */
export function actAs({ csrf, organization }) {
  if (csrf !== undefined) context.csrf = csrf;
  if (organization !== undefined) context.organization = organization;
}

/** Names what gets a proof from the person when an operation asks for one: a function of the possible factors, null when refused. */
export function proveWith(prove) {
  context.prove = prove;
}

/** A failed call, in words for people (RFC 9457). */
export class Failure extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title);
    this.status = status;
    this.title = problem.title;
    this.page = typeof problem.type === 'string' && problem.type.startsWith('/docs/errors/') ? problem.type : null;
    this.code = this.page ? this.page.split('/').pop() : null;
    this.fields = Array.isArray(problem.errors) ? problem.errors : [];
    this.requestId = problem.request_id || null;
    this.factors = Array.isArray(problem.factors) ? problem.factors : [];
  }
}

/** Calls the API; throws a Failure when it refuses or cannot be reached. */
export async function call(method, path, body, { organization, isProved = false } = {}) {
  const headers = { Accept: 'application/json' };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (method !== 'GET' && context.csrf) headers['X-CSRF-Token'] = context.csrf;
  const named = organization || context.organization;
  if (named) headers['Entrepot-Organization'] = named;
  let response;
  try {
    response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), credentials: 'same-origin' });
  } catch {
    throw new Failure(0, { title: 'Entrepot cannot be reached', detail: 'Entrepot cannot be reached. Check that it runs and that you are online, then try again.' });
  }
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => null);
  if (response.ok && answer !== null) return answer;
  const failure = new Failure(response.status, answer || { title: 'Unexpected answer', detail: `The server answered ${response.status} without saying why. Try again.` });
  // Asked once: what is asked for again after a proof is not to be had by another.
  if (failure.code === 'step_up_required' && context.prove && !isProved && (await context.prove(failure.factors))) {
    return call(method, path, body, { organization, isProved: true });
  }
  if (failure.code === 'second_factor_required' && location.pathname !== '/account') location.assign('/account?required');
  throw failure;
}
