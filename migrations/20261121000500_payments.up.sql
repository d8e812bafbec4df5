-- Money: what was asked for, what came in, what went back.

create table public.payments (
    id uuid primary key default gen_random_uuid(),
    reservation_id uuid not null references public.reservations,
    method text not null default 'card' check (method in ('card', 'offline')),
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
    credited_minor bigint not null default 0 check (credited_minor >= 0),
    kept_minor bigint not null default 0 check (kept_minor >= 0),
    lost_minor bigint not null default 0 check (lost_minor >= 0),
    generation integer not null default 1 check (generation >= 1),
    claimed_until timestamptz,
    superseded boolean not null default false,
    disputed boolean not null default false,
    status_at timestamptz,
    authorized_at timestamptz,
    capture_before timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    check (method = 'card' or payment_intent_id is null),
    check (captured_minor = 0 or credited_minor + kept_minor <= captured_minor)
);
-- A reservation has one payment. What is superseded is a second intent or one that cash at the counter replaced.
create unique index payments_one_per_reservation on public.payments (reservation_id) where not superseded;
-- What the reconciliation looks up at Stripe.
create index payments_open on public.payments (payment_intent_id) where status not in ('succeeded', 'canceled');
create index payments_by_reservation on public.payments (reservation_id);
comment on column public.payments.generation is 'Part of the Stripe idempotency key: {id}:create:{generation}.';
comment on column public.payments.claimed_until is 'Until when one caller is creating the intent at Stripe.';
comment on column public.payments.superseded is 'The one payment of the reservation is another: money here goes back.';
comment on column public.payments.method is 'offline: paid at the counter.';
comment on column public.payments.credited_minor is
'What went back, or has to, whether it arrived or not: refunds, lost disputes, and what is owed.';
comment on column public.payments.kept_minor is 'What the policy lets the provider keep of a cancelled reservation.';
comment on column public.payments.lost_minor is 'What the bank took back in lost disputes.';
comment on column public.payments.disputed is 'A dispute is open or lost; false once it ended in our favour.';
comment on column public.payments.status_at is 'When Stripe said the status; older news is stale.';

create table public.refunds (
    id uuid primary key default gen_random_uuid(),
    payment_id uuid not null references public.payments,
    stripe_refund_id text unique,
    amount_minor bigint not null check (amount_minor > 0),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    status text not null default 'pending' check (
        status in ('pending', 'requires_action', 'succeeded', 'failed', 'canceled')
    ),
    reason text not null check (
        reason in (
            'cancellation', 'conflict', 'late_payment', 'duplicate_payment', 'amount_mismatch', 'requested', 'external'
        )
    ),
    note text check (length(note) <= 500),
    is_offline boolean not null default false,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    check (not is_offline or stripe_refund_id is null)
);
create index refunds_by_payment on public.refunds (payment_id);
-- What the reconciliation has made again.
create index refunds_unsettled on public.refunds (payment_id)
where status in ('failed', 'canceled') or (status = 'pending' and stripe_refund_id is null);
comment on column public.refunds.stripe_refund_id is 'Null until Stripe has it, and for money handed back at the counter.';
comment on column public.refunds.note is 'What staff said of it; the customer may read it.';
comment on column public.refunds.reason is 'requested: by staff; external: made at Stripe by somebody else.';

create table public.disputes (
    id text primary key,
    payment_id uuid not null references public.payments,
    amount_minor bigint not null check (amount_minor >= 0),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    status text not null,
    reason text,
    evidence_due_by timestamptz,
    status_at timestamptz not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index disputes_by_payment on public.disputes (payment_id);
comment on column public.disputes.id is 'Stripe''s dispute id.';
comment on column public.disputes.status_at is 'When Stripe said the status; older news is stale.';

alter table public.payments enable row level security;
alter table public.refunds enable row level security;
alter table public.disputes enable row level security;
