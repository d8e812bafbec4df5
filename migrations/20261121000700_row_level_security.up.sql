-- For those who reach the tables another way than through the operations (PostgREST): read-only, and only what is
-- theirs. The functions own the tables and are not subject to this; they check tenancy themselves.

-- The user of the verified token that PostgREST puts into the session; null without one.
create function kitloop.claims_user_id() returns uuid
language sql stable set search_path = pg_catalog, pg_temp as $$
    select (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid
$$;

-- Whether the user works for the provider, in whatever role. Not for those who come with claims: they could ask
-- about others.
create function kitloop.is_member(p_provider_id uuid, p_user_id uuid) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
    select exists (
        select from public.provider_members m where m.provider_id = p_provider_id and m.user_id = p_user_id
    )
$$;

-- Whether the user of the claims works for the provider.
create function kitloop.claims_member_of(p_provider_id uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select kitloop.is_member(p_provider_id, kitloop.claims_user_id())
$$;

-- Whether the reservation is the claims' own, or of a provider they work for.
create function kitloop.claims_see_reservation(p_reservation_id uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select exists (
        select
        from public.reservations r
        join public.customers c on c.id = r.customer_id
        where r.id = p_reservation_id
            and (c.user_id = kitloop.claims_user_id() or kitloop.claims_member_of(r.provider_id))
    )
$$;

-- Whether the customer is the user of the claims, or has to do with a provider they work for.
create function kitloop.claims_see_customer(p_customer_id uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select exists (
        select
        from public.customers c
        where c.id = p_customer_id
            and (c.user_id = kitloop.claims_user_id() or kitloop.claims_member_of(c.provider_id))
    ) or exists (
        select from public.reservations r where r.customer_id = p_customer_id and kitloop.claims_member_of(r.provider_id)
    )
$$;

grant execute on function kitloop.claims_user_id() to anon, authenticated;
grant execute on function kitloop.claims_member_of(uuid) to authenticated;
grant execute on function kitloop.claims_see_reservation(uuid) to authenticated;
grant execute on function kitloop.claims_see_customer(uuid) to authenticated;

-- Supabase grants everything on new tables to these roles.
revoke all on
public.providers, public.provider_members, public.gear_items, public.customers, public.reservations,
public.reservation_lines, public.payments, public.refunds, public.disputes, public.stripe_webhook_events,
public.idempotency_keys, public.notification_logs, public.jobs, public.job_dead_letters, public.worker_heartbeats,
public.cron_runs, public.audit_logs
from anon, authenticated;

-- The migrator's own table is in public too.
alter table if exists public._sqlx_migrations enable row level security;

-- A shop's plan is nobody's business but its own.
grant select (
    id, name, time_zone, currency, hold_minutes, lead_minutes, horizon_days, min_duration_minutes, max_duration_minutes,
    max_open_holds, capture_method, cancellation_policy, tax_rate_basis_points, contact_email, created_at
) on public.providers to anon, authenticated;
grant select on public.gear_items to anon, authenticated;
grant select on public.provider_members, public.customers, public.reservations, public.reservation_lines,
public.payments, public.refunds, public.disputes to authenticated;

create policy catalogue on public.providers for select to anon, authenticated using (true);
create policy catalogue on public.gear_items for select to anon, authenticated using (archived_at is null);
create policy own_memberships on public.provider_members for select to authenticated
using (user_id = kitloop.claims_user_id() or kitloop.claims_member_of(provider_id));
create policy own_or_members on public.customers for select to authenticated
using (kitloop.claims_see_customer(id));
create policy own_or_members on public.reservations for select to authenticated
using (kitloop.claims_see_reservation(id));
create policy own_or_members on public.reservation_lines for select to authenticated
using (kitloop.claims_see_reservation(reservation_id));
create policy own_or_members on public.payments for select to authenticated
using (kitloop.claims_see_reservation(reservation_id));
create policy own_or_members on public.refunds for select to authenticated
using (exists (select from public.payments p where p.id = payment_id));
-- What the bank says, and until when it can be answered, is the provider's business.
create policy members on public.disputes for select to authenticated
using (exists (
    select
    from public.payments p
    join public.reservations r on r.id = p.reservation_id
    where p.id = payment_id and kitloop.claims_member_of(r.provider_id)
));
