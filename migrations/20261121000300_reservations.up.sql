-- Customers, their reservations, and the lines that use stock.

create table public.customers (
    id uuid primary key default gen_random_uuid(),
    user_id uuid unique,
    provider_id uuid references public.providers,
    name text,
    email text,
    phone text,
    created_at timestamptz not null default now(),
    -- A user has one row for the whole platform; a walk-in has no user and belongs to its provider.
    check ((user_id is null) = (provider_id is not null))
);
create index customers_by_provider on public.customers (provider_id) where provider_id is not null;

create table public.reservations (
    id uuid primary key default gen_random_uuid(),
    provider_id uuid not null references public.providers,
    customer_id uuid not null references public.customers,
    status text not null default 'hold' check (
        status in ('hold', 'authorized', 'confirmed', 'active', 'completed', 'expired', 'cancelled', 'no_show')
    ),
    period tstzrange not null check (not isempty(period) and lower_inc(period) and not upper_inc(period)),
    reserved_until timestamptz not null,
    amount_total_minor bigint not null check (amount_total_minor >= 0),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    paid_at timestamptz,
    cancel_reason text check (
        cancel_reason in ('customer', 'provider', 'declined', 'unanswered', 'payment_canceled', 'conflict')
    ),
    cancel_note text check (length(cancel_note) <= 500),
    disputed boolean not null default false,
    notes text check (length(notes) <= 1000),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    check ((status = 'cancelled') = (cancel_reason is not null))
);
create index reservations_by_customer on public.reservations (customer_id, provider_id);
create index reservations_by_provider on public.reservations (provider_id);
create index reservations_lapsing on public.reservations (reserved_until) where status = 'hold';
create index reservations_unanswered on public.reservations (id) where status = 'authorized';
comment on column public.reservations.reserved_until is 'The instant a hold lapses; of no meaning once it is firm.';
comment on column public.reservations.cancel_note is 'What whoever cancelled said.';
comment on column public.reservations.disputed is 'The bank disputes the payment, or took it back.';
comment on column public.reservations.paid_at is 'When the money was captured, or the provider said it was paid offline.';

create table public.reservation_lines (
    reservation_id uuid not null references public.reservations,
    gear_id uuid not null references public.gear_items,
    quantity integer not null check (quantity >= 1),
    unit_price_minor bigint not null check (unit_price_minor >= 0),
    blocked tstzrange not null check (not isempty(blocked)),
    blocks_until timestamptz,
    primary key (reservation_id, gear_id)
);
-- Carries the availability check: an item's lines that still use stock and overlap a window.
create index reservation_lines_blocking on public.reservation_lines using gist (gear_id, blocked)
where blocks_until is not null;
comment on column public.reservation_lines.blocked is 'The period plus the turnaround buffer of the item.';
comment on column public.reservation_lines.blocks_until is
'Until when the line uses stock: null = over, reserved_until for a hold, infinity when firm. Kept by trigger.';

alter table public.customers enable row level security;
alter table public.reservations enable row level security;
alter table public.reservation_lines enable row level security;
