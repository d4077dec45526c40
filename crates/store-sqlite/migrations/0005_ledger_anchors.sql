-- Anchors are found among all other envelopes: each names the one before it. An anchor's set is the ledger's tree.

-- The anchors of a ledger, by size.
CREATE INDEX IF NOT EXISTS envelopes_anchors_idx ON attestor_envelopes (tenant_id, set_size)
    WHERE predicate_type = 'https://provex.dev/predicates/ledger-anchor/v1';
