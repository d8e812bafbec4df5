-- The shop's own subscription, as Stripe tells of it: a plan that lapsed takes no new holds and leaves everything else as
-- it is.

-- Whether a provider's plan lets it take new holds: it has none (the platform asks it for nothing), or it is paid, or it
-- is late by less than the grace period. https://docs.stripe.com/billing/subscriptions/overview#subscription-statuses
create function kitloop.is_plan_active(p_provider public.providers, p_now timestamptz) returns boolean
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select case p_provider.plan_status
        when 'active' then true
        when 'trialing' then true
        when 'past_due' then
            p_now < p_provider.plan_past_due_since + make_interval(days => p_provider.plan_grace_days)
        else p_provider.plan_status is null
    end
$$;

-- Whether a subscription has come to its end.
create function kitloop.is_subscription_over(p_status text) returns boolean
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select p_status in ('canceled', 'incomplete_expired')
$$;

-- Every subscription of a provider, in its newest state: an old one may end after a new one began, and one that was begun
-- may never be paid.
create table public.provider_subscriptions (
    id text primary key,
    provider_id uuid not null references public.providers,
    plan text,
    status text not null,
    status_at timestamptz not null,
    past_due_since timestamptz,
    check ((status = 'past_due') = (past_due_since is not null))
);
create index provider_subscriptions_by_provider on public.provider_subscriptions (provider_id);
alter table public.provider_subscriptions enable row level security;
revoke all on public.provider_subscriptions from anon, authenticated;

-- Writes what a subscription is now; false when that is older than what is known. One that is over stays so. Stripe's
-- times are whole seconds, in which a new subscription may be both made and paid. The caller holds the provider.
create function kitloop.write_subscription_fact(p_provider_id uuid, p_fact jsonb) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_at timestamptz := coalesce((p_fact ->> 'at')::timestamptz, clock_timestamp());
begin
    insert into public.provider_subscriptions as s (id, provider_id, plan, status, status_at, past_due_since)
    values (
        p_fact ->> 'subscription_id', p_provider_id, p_fact ->> 'plan', p_fact ->> 'status', v_at,
        case p_fact ->> 'status' when 'past_due' then v_at end
    )
    on conflict (id) do update
    set plan = excluded.plan, status = excluded.status, status_at = excluded.status_at,
        past_due_since = case excluded.status
            when 'past_due' then coalesce(s.past_due_since, excluded.status_at)
        end
    where case
        when kitloop.is_subscription_over(s.status) then kitloop.is_subscription_over(excluded.status)
        when kitloop.is_subscription_over(excluded.status) then true
        else excluded.status_at > s.status_at
            or excluded.status_at = s.status_at and excluded.status <> 'incomplete'
    end;
    return found;
end
$$;

-- Carries the best subscription of a provider to it: what is paid before what is late before what is not paid before what
-- is over. The caller holds the provider.
create function kitloop.choose_plan(p_provider_id uuid) returns void
language sql set search_path = pg_catalog, pg_temp as $$
    update public.providers p
    set plan = s.plan, plan_status = s.status, plan_status_at = s.status_at, plan_subscription_id = s.id,
        plan_past_due_since = s.past_due_since
    from (
        select * from public.provider_subscriptions o
        where o.provider_id = p_provider_id
        order by
            case
                when o.status in ('active', 'trialing') then 0
                when o.status = 'past_due' then 1
                when kitloop.is_subscription_over(o.status) then 3
                else 2
            end,
            o.status_at desc, o.id
        limit 1
    ) s
    where p.id = p_provider_id
$$;

-- Applies a fact about a subscription: {subscription_id, provider_id (from the metadata), plan, status, at}. Decisions:
-- plan_updated, stale, unmatched. Locks: the provider.
create function kitloop.apply_subscription(p_fact jsonb) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_before public.providers;
begin
    select p.* into v_before from public.providers p
    where p.id = coalesce(
        (select s.provider_id from public.provider_subscriptions s where s.id = p_fact ->> 'subscription_id'),
        (p_fact ->> 'provider_id')::uuid
    )
    for no key update;
    if not found then
        return 'unmatched';
    elsif not kitloop.write_subscription_fact(v_before.id, p_fact) then
        return 'stale';
    end if;
    perform kitloop.choose_plan(v_before.id);
    insert into public.audit_logs (actor, action, provider_id, details)
    select 'stripe', 'plan_change', p.id,
        jsonb_build_object('plan', p.plan, 'from', v_before.plan_status, 'to', p.plan_status)
    from public.providers p
    where p.id = v_before.id
        and (v_before.plan, v_before.plan_status) is distinct from (p.plan, p.plan_status);
    return 'plan_updated';
end
$$;
