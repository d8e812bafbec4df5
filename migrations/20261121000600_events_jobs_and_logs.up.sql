-- What was accepted and must not be lost: events, answers, e-mails, jobs, runs, and who did what.

create table public.stripe_webhook_events (
    id text primary key,
    type text not null,
    status text not null check (status in ('processed', 'ignored', 'failed')),
    decision text,
    attempts integer not null default 1,
    replay_count integer not null default 0,
    last_replayed_at timestamptz,
    last_error text,
    payload jsonb not null,
    reservation_id uuid references public.reservations,
    created_at timestamptz not null default now(),
    processed_at timestamptz,
    check ((status = 'failed') = (decision is null))
);
create index stripe_webhook_events_by_status on public.stripe_webhook_events (status, created_at);
create index stripe_webhook_events_by_reservation on public.stripe_webhook_events (reservation_id);

create table public.idempotency_keys (
    caller text not null,
    operation text not null,
    key text not null,
    request_hash text not null,
    response jsonb,
    created_at timestamptz not null default now(),
    primary key (caller, operation, key)
);
comment on column public.idempotency_keys.response is
'The first answer: {outcome, answer}. Null only inside the transaction that works it out.';

create table public.notification_logs (
    id uuid primary key default gen_random_uuid(),
    reservation_id uuid not null references public.reservations,
    kind text not null check (
        kind in (
            'confirmation', 'cancellation', 'declined', 'conflict_apology', 'conflict_notice', 'inquiry_opened',
            'dispute_opened', 'dispute_closed', 'refund_failed'
        )
    ),
    status text not null default 'queued' check (status in ('queued', 'sent', 'failed', 'off', 'no_address', 'obsolete')),
    message_id text,
    last_error text,
    created_at timestamptz not null default now(),
    sent_at timestamptz,
    -- Nobody is told the same twice.
    unique (reservation_id, kind)
);
comment on column public.notification_logs.status is
'off: no e-mail is sent here (RESEND_API_KEY is not set). obsolete: it is not true any more.';
comment on column public.notification_logs.message_id is 'Resend''s.';

create table public.jobs (
    id uuid primary key default gen_random_uuid(),
    kind text not null check (kind ~ '^[a-z][a-z_]{0,62}$'),
    status text not null default 'queued' check (status in ('queued', 'running', 'succeeded', 'failed', 'obsolete')),
    payment_id uuid references public.payments,
    refund_id uuid references public.refunds,
    notification_id uuid references public.notification_logs,
    customer_id uuid references public.customers,
    provider_id uuid references public.providers,
    credits bigint check (credits > 0),
    input jsonb,
    result jsonb,
    is_replayed boolean not null default false,
    priority smallint not null generated always as (
        case when payment_id is null then 1 else 0 end
    ) stored,
    hold_number integer not null default 1,
    generation integer not null default 1,
    attempts integer not null default 0,
    max_attempts integer not null default 12 check (max_attempts > 0),
    run_after timestamptz not null default now(),
    locked_by text,
    lease_until timestamptz,
    fencing_token bigint not null default 0,
    last_error text,
    created_at timestamptz not null default now(),
    finished_at timestamptz,
    check ((status = 'running') = (lease_until is not null)),
    check (num_nonnulls(payment_id, notification_id, customer_id) = 1),
    check (
        (kind in ('cancel_payment_intent', 'capture_payment_intent', 'refund_payment')) = (payment_id is not null)
    ),
    check ((kind = 'send_email') = (notification_id is not null)),
    check ((kind = 'refund_payment') = (refund_id is not null)),
    check (num_nonnulls(customer_id, credits, input) in (0, 3)),
    check (provider_id is null or customer_id is not null),
    check (result is null or (customer_id is not null and status = 'succeeded'))
);
create unique index jobs_one_open_per_payment on public.jobs (kind, payment_id)
where refund_id is null and status in ('queued', 'running');
create unique index jobs_one_open_per_refund on public.jobs (refund_id) where status in ('queued', 'running');
create index jobs_by_payment on public.jobs (payment_id);
create index jobs_due on public.jobs (priority, run_after) where status in ('queued', 'running');
create index jobs_by_customer on public.jobs (customer_id) where customer_id is not null;
comment on column public.jobs.kind is
'What Stripe or an e-mail is needed for, or a kind that customers pay for, of which the worker has the list.';
comment on column public.jobs.customer_id is 'Who pays for the job with credits.';
comment on column public.jobs.credits is 'What the job costs: held while it is open, spent when it succeeds.';
comment on column public.jobs.hold_number is
'How often credits were held for a paid job: again whenever an operator has it run again.';
comment on column public.jobs.provider_id is 'For which shop a paid job works, if it is for one.';
comment on column public.jobs.is_replayed is 'Whether the request that made a paid job was made again with its key.';
comment on column public.jobs.priority is
'Money first: neither a mail server that hangs nor a thousand paid jobs keep refunds waiting.';
comment on column public.jobs.generation is 'Part of the Stripe idempotency key: {id}:{operation}:{generation}.';
comment on column public.jobs.fencing_token is 'Grows with each claim; a worker whose token is old may not finish the job.';

-- A job that was given up, each time that it was: a person has to look.
create table public.job_dead_letters (
    id uuid primary key default gen_random_uuid(),
    job_id uuid not null references public.jobs,
    kind text not null,
    attempts integer not null,
    last_error text not null,
    died_at timestamptz not null default now(),
    replayed_at timestamptz,
    replayed_by text,
    check ((replayed_at is null) = (replayed_by is null))
);
create unique index job_dead_letters_one_open on public.job_dead_letters (job_id) where replayed_at is null;
create index job_dead_letters_by_time on public.job_dead_letters (died_at, id);

create table public.worker_heartbeats (
    worker text primary key,
    beat_at timestamptz not null
);

create table public.cron_runs (
    id uuid primary key default gen_random_uuid(),
    name text not null,
    status text not null default 'running' check (status in ('running', 'succeeded', 'failed')),
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    result jsonb,
    error text
);
create index cron_runs_by_name on public.cron_runs (name, started_at desc);

create table public.audit_logs (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    actor text not null,
    action text not null,
    provider_id uuid references public.providers,
    reservation_id uuid references public.reservations,
    details jsonb not null default '{}'
);
create index audit_logs_by_reservation on public.audit_logs (reservation_id);

-- Refuses every change of what was written once. Raises KL002.
create function kitloop.refuse_change() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    raise exception '% is append-only', tg_table_name using errcode = 'KL002';
end
$$;

create trigger append_only before update or delete or truncate on public.audit_logs
for each statement execute function kitloop.refuse_change();

alter table public.stripe_webhook_events enable row level security;
alter table public.idempotency_keys enable row level security;
alter table public.notification_logs enable row level security;
alter table public.jobs enable row level security;
alter table public.job_dead_letters enable row level security;
alter table public.worker_heartbeats enable row level security;
alter table public.cron_runs enable row level security;
alter table public.audit_logs enable row level security;
