-- The schema of the operations, and the roles that may use them.
--
-- Runs as a non-superuser owner with CREATEROLE, on plain PostgreSQL >= 15 and on Supabase, whose roles it keeps.
-- Roles belong to the cluster, not to the database: another database may be creating the same ones right now, and
-- the down file leaves them alone. Passwords are set outside migrations.

create schema kitloop;

create extension if not exists btree_gist with schema kitloop;

-- A new function is closed until it is granted.
alter default privileges revoke execute on functions from public;

do $$
declare
    v_role text;
begin
    foreach v_role in array array['anon', 'authenticated', 'service_role', 'kitloop_app'] loop
        if not exists (select from pg_catalog.pg_roles where rolname = v_role) then
            begin
                execute format('create role %I %s', v_role, case when v_role = 'kitloop_app' then 'login' else 'nologin' end);
            exception when duplicate_object or unique_violation then
                null;
            end;
        end if;
    end loop;
end
$$;

-- Session settings cannot be sent through a transaction pooler, so they belong to the role. They too may be set by the
-- migration of another database at this moment (internal_error: tuple concurrently updated), to the same values.
do $$
declare
    v_setting text;
begin
    foreach v_setting in array array[
        'statement_timeout=3s', 'lock_timeout=2s', 'idle_in_transaction_session_timeout=5s'
    ] loop
        if not exists (
            select from pg_catalog.pg_roles where rolname = 'kitloop_app' and v_setting = any(rolconfig)
        ) then
            begin
                execute format(
                    'alter role kitloop_app set %I = %L', split_part(v_setting, '=', 1), split_part(v_setting, '=', 2)
                );
            exception when internal_error or unique_violation then
                null;
            end;
        end if;
    end loop;
end
$$;

grant usage on schema kitloop to kitloop_app, anon, authenticated;
