-- Who rents out, who works there, and what there is to rent.

-- Whether a document is a cancellation policy: steps of {hours_before, refund_percent}, at most ten, whoever cancels
-- earlier getting back at least as much. Later than the last step, nothing goes back.
create function kitloop.is_cancellation_policy(p_policy jsonb) returns boolean
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select p_policy @? 'strict $ ? (@.type() == "array" && @.size() <= 10)' and not exists (
        select
        from (
            select steps.step, lag(steps.step) over (order by steps.position) as earlier
            from jsonb_array_elements(p_policy) with ordinality steps (step, position)
        ) pairs
        -- Strict, since lax paths look into arrays, where the amounts are not read from.
        where not pairs.step @? 'strict $ ? (@.hours_before >= 0 && @.hours_before <= 8760
                && @.refund_percent >= 0 && @.refund_percent <= 100 && @.refund_percent.floor() == @.refund_percent)'
            or not jsonb_path_exists(
                pairs.step,
                '$ ? ($earlier == null || @.hours_before < $earlier.hours_before
                    && @.refund_percent <= $earlier.refund_percent)',
                jsonb_build_object('earlier', pairs.earlier)
            )
    )
$$;

create table public.providers (
    id uuid primary key default gen_random_uuid(),
    name text not null check (name <> ''),
    -- IANA name; the expression raises for a zone that PostgreSQL does not know.
    time_zone text not null check (timestamptz 'epoch' at time zone time_zone is not null),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    hold_minutes integer not null default 15 check (hold_minutes between 5 and 60),
    lead_minutes integer not null default 0 check (lead_minutes >= 0),
    horizon_days integer not null default 365 check (horizon_days between 1 and 3650),
    min_duration_minutes integer not null default 60 check (min_duration_minutes >= 1),
    max_duration_minutes integer not null default 43200,
    max_open_holds integer check (max_open_holds >= 1),
    capture_method text not null default 'automatic' check (capture_method in ('automatic', 'manual')),
    cancellation_policy jsonb not null default
    '[{"hours_before": 24, "refund_percent": 100}, {"hours_before": 2, "refund_percent": 50}]'
    constraint cancellation_policy_is_monotonic check (kitloop.is_cancellation_policy(cancellation_policy)),
    tax_rate_basis_points integer not null default 0 check (tax_rate_basis_points between 0 and 10000),
    contact_email text check (contact_email like '%_@_%'),
    plan text,
    plan_status text check (plan_status in (
        'incomplete', 'incomplete_expired', 'trialing', 'active', 'past_due', 'canceled', 'unpaid', 'paused'
    )),
    plan_status_at timestamptz,
    plan_subscription_id text unique,
    plan_past_due_since timestamptz,
    plan_grace_days integer not null default 7 check (plan_grace_days between 0 and 90),
    created_at timestamptz not null default now(),
    check (max_duration_minutes >= min_duration_minutes),
    check ((plan_status is null) = (plan_subscription_id is null)),
    check ((plan_status is null) = (plan_status_at is null)),
    check ((plan_status is not distinct from 'past_due') = (plan_past_due_since is not null))
);
comment on column public.providers.plan_status is
'Stripe''s status of the shop''s own subscription; null is a shop that needs none.';
comment on column public.providers.plan_grace_days is 'So long a payment for the plan may be late.';
comment on column public.providers.cancellation_policy is
'Steps of {hours_before, refund_percent} for a customer who cancels; the first step that is early enough counts.';
comment on column public.providers.tax_rate_basis_points is 'Included in prices; 2100 is 21 %.';
comment on column public.providers.contact_email is 'Where the shop gets word, and customers answer; public.';
comment on column public.providers.max_open_holds is 'Open holds one customer may have here at once; null is no limit.';

create table public.provider_members (
    provider_id uuid not null references public.providers,
    user_id uuid not null,
    role text not null check (role in ('owner', 'manager', 'staff')),
    created_at timestamptz not null default now(),
    primary key (provider_id, user_id)
);
create index provider_members_by_user on public.provider_members (user_id);

create table public.gear_items (
    id uuid primary key default gen_random_uuid(),
    provider_id uuid not null references public.providers,
    name text not null check (name <> ''),
    quantity_total integer not null check (quantity_total >= 0),
    buffer_minutes integer not null default 0 check (buffer_minutes between 0 and 10080),
    -- Stripe takes at most eight digits: https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts
    day_price_minor bigint not null check (day_price_minor between 0 and 99999999),
    archived_at timestamptz,
    created_at timestamptz not null default now()
);
create index gear_items_by_provider on public.gear_items (provider_id);
comment on column public.gear_items.buffer_minutes is 'Turnaround after each rental, in which the item is blocked.';

alter table public.providers enable row level security;
alter table public.provider_members enable row level security;
alter table public.gear_items enable row level security;
