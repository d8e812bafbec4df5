-- Closes what was restored to everybody but its owner, whatever this database grants on new objects by default (Supabase
-- does): the grants of the backup come afterwards, and they only say what it had beyond PostgreSQL's own defaults.
do $$
declare
    v_grant record;
begin
    for v_grant in
        select distinct 'table' as kind, c.oid::regclass::text as name, a.grantee
        from pg_catalog.pg_class c
        cross join lateral pg_catalog.aclexplode(c.relacl) a
        where c.relnamespace in ('kitloop'::regnamespace, 'public'::regnamespace)
            and pg_catalog.pg_has_role(current_user, c.relowner, 'usage') and a.grantee <> c.relowner
        union all
        select distinct 'routine', p.oid::regprocedure::text, a.grantee
        from pg_catalog.pg_proc p
        cross join lateral pg_catalog.aclexplode(p.proacl) a
        where p.pronamespace = 'kitloop'::regnamespace
            and pg_catalog.pg_has_role(current_user, p.proowner, 'usage') and a.grantee <> p.proowner
    loop
        execute format(
            'revoke all on %s %s from %s', v_grant.kind, v_grant.name,
            case when v_grant.grantee = 0 then 'public' else v_grant.grantee::regrole::text end
        );
    end loop;
end
$$;
