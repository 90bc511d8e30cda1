-- Renewing a token, across nodes that may die at any moment. What says whose turn it is stands in the credential's own row, so
-- that one statement takes the turn of a credential that is still there.
alter table credentials
    -- How often the token was renewed. What is saved names the number that it was renewed from: a node that was away cannot
    -- undo a newer token, and a refusal of an older one says nothing of the one that is stored.
    add column renewals bigint not null default 0,
    -- The number of the latest turn: whoever has another cannot lengthen it or give it back.
    add column refresh_turn bigint not null default 0,
    -- How often the provider was asked since the token was last renewed. Counted before each call.
    add column refresh_tries smallint not null default 0;
grant update (renewals, refresh_turn, refresh_tries) on credentials to entrepot_app;
