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

-- Whether what is said of a subscription is older than what is known of the provider's plan. One that is over stays so; a
-- new one takes its place, and the end of the one before does not end the new one. Stripe's times are whole seconds, in
-- which a new subscription may be both made and paid.
create function kitloop.is_subscription_stale(
    p_provider public.providers, p_subscription_id text, p_status text, p_at timestamptz
) returns boolean
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select case
        when p_provider.plan_subscription_id is null then false
        when p_provider.plan_subscription_id <> p_subscription_id then
            kitloop.is_subscription_over(p_status) or p_at < p_provider.plan_status_at
        when kitloop.is_subscription_over(p_provider.plan_status) then not kitloop.is_subscription_over(p_status)
        when kitloop.is_subscription_over(p_status) then false
        else p_at < p_provider.plan_status_at
            or p_at = p_provider.plan_status_at and p_status = 'incomplete'
    end
$$;

-- Applies a fact about a subscription: {subscription_id, provider_id (from the metadata), plan, status, at}. Decisions:
-- plan_updated, stale, unmatched. Locks: the provider.
create function kitloop.apply_subscription(p_fact jsonb) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_provider public.providers;
    v_status text := p_fact ->> 'status';
    v_at timestamptz := coalesce((p_fact ->> 'at')::timestamptz, clock_timestamp());
begin
    select * into v_provider from public.providers p
    where p.id = (p_fact ->> 'provider_id')::uuid or p.plan_subscription_id = p_fact ->> 'subscription_id'
    order by p.plan_subscription_id is distinct from p_fact ->> 'subscription_id'
    limit 1
    for update;
    if not found then
        return 'unmatched';
    elsif kitloop.is_subscription_stale(v_provider, p_fact ->> 'subscription_id', v_status, v_at) then
        return 'stale';
    end if;
    update public.providers p
    set plan = p_fact ->> 'plan', plan_status = v_status, plan_status_at = v_at,
        plan_subscription_id = p_fact ->> 'subscription_id',
        plan_past_due_since = case
            when v_status <> 'past_due' then null
            when p.plan_subscription_id = p_fact ->> 'subscription_id' then coalesce(p.plan_past_due_since, v_at)
            else v_at
        end
    where p.id = v_provider.id;
    insert into public.audit_logs (actor, action, provider_id, details)
    select 'stripe', 'plan_change', v_provider.id,
        jsonb_build_object('plan', p_fact ->> 'plan', 'from', v_provider.plan_status, 'to', v_status)
    where (v_provider.plan, v_provider.plan_status) is distinct from (p_fact ->> 'plan', v_status);
    return 'plan_updated';
end
$$;
