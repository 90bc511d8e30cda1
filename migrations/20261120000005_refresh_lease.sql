-- Whoever renews a token holds this until then: one node asks the provider, the others wait for what it saves. What is
-- saved without holding it changes nothing, so a node that was away cannot undo a newer token.
alter table credentials add column refresh_leased_until timestamptz;
