-- Refuses a database that holds data. The lock keeps others from writing until the restore has replaced the tables.
do $$
declare
    v_table regclass;
    v_has_rows boolean;
begin
    for v_table in
        select c.oid from pg_catalog.pg_class c
        where c.relnamespace in (select oid from pg_catalog.pg_namespace where nspname in ('kitloop', 'public'))
            and c.relkind in ('r', 'p') and c.relname <> '_sqlx_migrations'
    loop
        execute format('lock table %s in access exclusive mode', v_table);
        execute format('select exists (select from %s)', v_table) into v_has_rows;
        if v_has_rows then
            raise exception 'the database holds data, for example in the table %; --force replaces it', v_table;
        end if;
    end loop;
end
$$;
