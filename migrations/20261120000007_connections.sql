-- What a change names, what the app may change, and how often a token that is not renewed is asked for again.

-- A refresh that failed in passing is not tried again before then, by any node; `refresh_failure` is the code of the problem
-- that callers are told meanwhile.
alter table credentials
    add column refresh_retry_at timestamptz,
    add column refresh_failure text;
