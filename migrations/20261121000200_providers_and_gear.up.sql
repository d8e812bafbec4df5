-- Who rents out, who works there, and what there is to rent.

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
    created_at timestamptz not null default now(),
    check (max_duration_minutes >= min_duration_minutes)
);
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
