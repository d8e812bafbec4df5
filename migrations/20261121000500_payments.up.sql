-- Money: what was asked for, what came in, what went back.

create table public.payments (
    id uuid primary key default gen_random_uuid(),
    reservation_id uuid not null references public.reservations,
    payment_intent_id text unique,
    -- Stripe's own statuses, and `capturing`: a capture is under way, so nothing may cancel or release.
    status text not null default 'requires_payment_method' check (
        status in (
            'requires_payment_method', 'requires_confirmation', 'requires_action', 'processing',
            'requires_capture', 'capturing', 'succeeded', 'canceled'
        )
    ),
    capture_method text not null check (capture_method in ('automatic', 'manual')),
    amount_minor bigint not null check (amount_minor >= 0),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    captured_minor bigint not null default 0 check (captured_minor >= 0),
    generation integer not null default 1 check (generation >= 1),
    claimed_until timestamptz,
    superseded boolean not null default false,
    disputed boolean not null default false,
    dispute_status text,
    status_at timestamptz,
    authorized_at timestamptz,
    capture_before timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
-- A reservation has one payment. What is superseded is a second intent or one that cash at the counter replaced.
create unique index payments_one_per_reservation on public.payments (reservation_id) where not superseded;
create index payments_by_reservation on public.payments (reservation_id);
comment on column public.payments.generation is 'Part of the Stripe idempotency key: {id}:create:{generation}.';
comment on column public.payments.claimed_until is 'Until when one caller is creating the intent at Stripe.';
comment on column public.payments.superseded is 'The one payment of the reservation is another: money here goes back.';
comment on column public.payments.dispute_status is 'Stripe''s; disputed is false once it ended in our favour.';
comment on column public.payments.status_at is 'When Stripe said the status; older news is stale.';

create table public.refunds (
    id text primary key,
    payment_id uuid not null references public.payments,
    amount_minor bigint not null check (amount_minor > 0),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    status text not null check (status in ('pending', 'requires_action', 'succeeded', 'failed', 'canceled')),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index refunds_by_payment on public.refunds (payment_id);
comment on column public.refunds.id is 'Stripe''s refund id.';

alter table public.payments enable row level security;
alter table public.refunds enable row level security;
