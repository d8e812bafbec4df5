-- Makes room: the schema kitloop goes, and what the restoring role owns in the schema public.
set client_min_messages = warning;
drop schema if exists kitloop cascade;

do $$
declare
    v_relation record;
begin
    for v_relation in
        select c.oid::regclass as name, case c.relkind
            when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence' else 'table'
        end as kind
        from pg_catalog.pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'S')
            and pg_catalog.pg_has_role(current_user, c.relowner, 'usage')
            -- Sequences of identity columns go with their tables, and what belongs to an extension stays with it.
            and not exists (
                select from pg_catalog.pg_depend d
                where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i', 'e')
            )
    loop
        execute format('drop %s if exists %s cascade', v_relation.kind, v_relation.name);
    end loop;
end
$$;
