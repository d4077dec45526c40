-- Anchors are found among all other envelopes: each names the one before it. An anchor's set is the ledger's tree.
-- Applying it again changes nothing.
--
-- One DO block: Citus takes no file of several statements on distributed tables.
DO $m$
BEGIN
    CREATE INDEX IF NOT EXISTS envelopes_anchors_idx ON attestor.envelopes (tenant_id, set_size)
        WHERE predicate_type = 'https://provex.dev/predicates/ledger-anchor/v1';
    COMMENT ON INDEX attestor.envelopes_anchors_idx IS 'The anchors of a ledger, by size.';
END
$m$;
