-- Credits that customers buy by Stripe's Checkout, and what happens to them when their money goes back.

create table public.credit_topups (
    id uuid primary key default gen_random_uuid(),
    customer_id uuid not null references public.customers,
    credits bigint not null check (credits between 1 and 100000),
    amount_minor bigint not null check (amount_minor > 0),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    status text not null default 'open' check (status in ('open', 'paid', 'mismatched', 'expired')),
    generation integer not null default 1,
    checkout_session_id text unique,
    payment_intent_id text unique,
    paid_minor bigint,
    paid_currency text,
    taken_back bigint not null default 0 check (taken_back between 0 and credits),
    revision integer not null default 0,
    created_at timestamptz not null default now(),
    paid_at timestamptz,
    check ((status in ('paid', 'mismatched')) = (paid_at is not null))
);
create index credit_topups_by_customer on public.credit_topups (customer_id);
comment on column public.credit_topups.status is
'mismatched: paid, but not what was asked for, so that it grants nothing.';
comment on column public.credit_topups.generation is 'Part of the Stripe idempotency key: {id}:checkout:{generation}.';
comment on column public.credit_topups.paid_minor is 'What Stripe says was paid, which is what was asked for unless mismatched.';
comment on column public.credit_topups.taken_back is 'Credits that went again because their money did.';
comment on column public.credit_topups.revision is 'How often taken_back has changed; part of the ledger''s keys.';

-- Refunds and disputes of top-ups, by Stripe's id.
create table public.credit_topup_losses (
    id text primary key,
    topup_id uuid not null references public.credit_topups,
    amount_minor bigint not null check (amount_minor >= 0),
    is_gone boolean not null,
    rank integer not null
);
create index credit_topup_losses_by_topup on public.credit_topup_losses (topup_id);
comment on column public.credit_topup_losses.is_gone is 'Whether the money is not ours, as far as is known.';
comment on column public.credit_topup_losses.rank is 'How final that is; what is less so is old news.';

create index stripe_webhook_events_unmatched on public.stripe_webhook_events ((payload #>> '{data,object,payment_intent}'))
where decision = 'unmatched';

alter table public.credit_topups enable row level security;
alter table public.credit_topup_losses enable row level security;
revoke all on public.credit_topups, public.credit_topup_losses from anon, authenticated;

-- The operation: begins a top-up, or finds the one that the same request began. The session at Stripe is made after it,
-- under a key of the top-up's id and generation, and noted by record_checkout_session. is_key_old: Stripe may have
-- forgotten that key (https://docs.stripe.com/api/idempotent_requests: after a day).
-- Outcomes: started; idempotency_key_reused, request_in_flight. Locks, in order: idempotency row, customer.
create function kitloop.start_topup(
    p_caller text, p_idempotency_key text, p_request_hash text, p_user_id uuid, p_profile jsonb, p_credits bigint,
    p_credit_price_minor bigint, p_currency text,
    out outcome text, out replayed boolean, out topup_id uuid, out generation integer, out checkout_session_id text,
    out credits bigint, out amount_minor bigint, out currency text, out created_at timestamptz, out is_key_old boolean
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_answer jsonb;
begin
    select not c.is_claimed, c.outcome, c.answer into replayed, outcome, v_answer
    from kitloop.claim_idempotency_key(p_caller, 'create_checkout_session', p_idempotency_key, p_request_hash) c;
    if replayed then
        topup_id := (v_answer ->> 'topup_id')::uuid;
    else
        insert into public.credit_topups (customer_id, credits, amount_minor, currency)
        values (
            kitloop.lock_customer(p_user_id, p_profile), p_credits, p_credits * p_credit_price_minor, p_currency
        )
        returning id into topup_id;
        outcome := 'started';
        perform kitloop.store_answer(
            p_caller, 'create_checkout_session', p_idempotency_key, outcome, jsonb_build_object('topup_id', topup_id)
        );
    end if;
    select t.generation, t.checkout_session_id, t.credits, t.amount_minor, t.currency, t.created_at,
        t.created_at < clock_timestamp() - interval '23 hours'
    into start_topup.generation, start_topup.checkout_session_id, start_topup.credits, start_topup.amount_minor,
        start_topup.currency, start_topup.created_at, start_topup.is_key_old
    from public.credit_topups t
    where t.id = topup_id;
end
$$;

-- The operation: notes Stripe's id of a top-up's session, and returns the one that is the top-up's: it has only one, and
-- the first that was noted stays. Locks: the top-up.
create function kitloop.record_checkout_session(p_topup_id uuid, p_checkout_session_id text) returns text
language sql security definer set search_path = pg_catalog, pg_temp as $$
    update public.credit_topups t
    set checkout_session_id = coalesce(t.checkout_session_id, p_checkout_session_id)
    where t.id = p_topup_id
    returning t.checkout_session_id
$$;

-- The operation: the idempotency key of a generation is spent, since Stripe stored a failure under it, and no session came
-- of it. Returns how the top-up goes on: with the next generation, or with the session that another caller noted meanwhile.
-- However many find the same key spent, it is raised once. Locks: the top-up.
create function kitloop.spend_checkout_key(
    p_topup_id uuid, p_generation integer, out generation integer, out checkout_session_id text
)
language sql security definer set search_path = pg_catalog, pg_temp as $$
    update public.credit_topups t set generation = greatest(t.generation, p_generation + 1)
    where t.id = p_topup_id
    returning t.generation, t.checkout_session_id
$$;

-- Lets what is said of one intent be heard one after the other: a refund that finds no top-up yet, and the payment that
-- makes it one, must not both miss the other.
create function kitloop.lock_topup_intent(p_payment_intent_id text) returns void
language sql set search_path = pg_catalog, pg_temp as $$
    select pg_advisory_xact_lock(hashtextextended('topup:' || p_payment_intent_id, 0))
$$;

-- Brings the credits of a top-up in line with its money: of what went back, the share of the credits goes too, rounded up;
-- what is spent already is owed. The caller holds the top-up.
create function kitloop.settle_topup(p_topup_id uuid) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_topup public.credit_topups;
    v_gone_minor bigint;
    v_taken_back bigint;
    v_change bigint;
    v_account public.credit_accounts;
begin
    select * into strict v_topup from public.credit_topups t where t.id = p_topup_id;
    select least(coalesce(sum(l.amount_minor), 0), v_topup.amount_minor) into v_gone_minor
    from public.credit_topup_losses l
    where l.topup_id = p_topup_id and l.is_gone;
    v_taken_back := ceil(v_topup.credits * v_gone_minor::numeric / v_topup.amount_minor);
    v_change := v_topup.taken_back - v_taken_back;
    if v_topup.status <> 'paid' or v_change = 0 then
        return;
    end if;
    v_account := kitloop.lock_credit_account(v_topup.customer_id);
    update public.credit_accounts a set owed = a.owed + greatest(-v_change - v_account.balance, 0)
    where a.customer_id = v_topup.customer_id;
    v_change := greatest(v_change, -v_account.balance);
    if v_change <> 0 then
        perform kitloop.enter_credits(
            v_topup.customer_id, v_change, 'refund', 'topup:' || p_topup_id || ':refund:' || v_topup.revision + 1
        );
    end if;
    update public.credit_topups t set taken_back = v_taken_back, revision = t.revision + 1 where t.id = p_topup_id;
end
$$;

-- Notes what became of a refund or dispute of a top-up; false when that is old news. The caller holds the top-up.
create function kitloop.note_topup_loss(
    p_topup_id uuid, p_id text, p_amount_minor bigint, p_is_gone boolean, p_rank integer
) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    insert into public.credit_topup_losses as l (id, topup_id, amount_minor, is_gone, rank)
    values (p_id, p_topup_id, p_amount_minor, p_is_gone, p_rank)
    on conflict (id) do update
    set amount_minor = excluded.amount_minor, is_gone = excluded.is_gone, rank = excluded.rank
    where excluded.rank >= l.rank;
    return found;
end
$$;

-- The same of a refund or a dispute as Stripe has it: {object, id, amount, currency, status}. One without a status is on
-- its way. A lost dispute stays lost; one in another currency than was paid is of all of it.
create function kitloop.note_topup_object(p_topup_id uuid, p_object jsonb) returns boolean
language sql set search_path = pg_catalog, pg_temp as $$
    select kitloop.note_topup_loss(
        p_topup_id, p_object ->> 'id',
        case
            when upper(p_object ->> 'currency') <> coalesce(t.paid_currency, t.currency)
                then coalesce(t.paid_minor, t.amount_minor)
            else (p_object ->> 'amount')::bigint
        end,
        case p_object ->> 'object'
            when 'refund' then coalesce(p_object ->> 'status' not in ('failed', 'canceled'), true)
            else p_object ->> 'status' in ('needs_response', 'under_review', 'lost')
        end,
        case
            when p_object ->> 'object' = 'refund' then kitloop.refund_rank(p_object ->> 'status')
            when p_object ->> 'status' = 'lost' then 4
            when kitloop.is_dispute_over(p_object ->> 'status') then 3
            when p_object ->> 'status' like 'warning%' then 1
            else 2
        end
    )
    from public.credit_topups t
    where t.id = p_topup_id
$$;

-- Applies a fact about a refund or a dispute, if it is one of a top-up's; null if it is not. Decisions: refunded,
-- partially_refunded, refund_failed, disputed, stale. Locks, in order: the intent, top-up, account.
create function kitloop.apply_topup_loss(p_fact jsonb) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_topup public.credit_topups;
    v_is_new boolean;
begin
    perform kitloop.lock_topup_intent(p_fact ->> 'payment_intent_id');
    select * into v_topup from public.credit_topups t
    where t.payment_intent_id = p_fact ->> 'payment_intent_id'
    for update;
    if not found then
        return null;
    end if;
    v_is_new := kitloop.note_topup_object(v_topup.id, jsonb_build_object(
        'object', p_fact ->> 'kind', 'id', coalesce(p_fact ->> 'stripe_refund_id', p_fact ->> 'dispute_id'),
        'amount', p_fact -> 'amount_minor', 'currency', p_fact ->> 'currency', 'status', p_fact ->> 'status'
    ));
    perform kitloop.settle_topup(v_topup.id);
    return case
        when not v_is_new then 'stale'
        when p_fact ->> 'kind' = 'dispute' then 'disputed'
        when p_fact ->> 'status' in ('failed', 'canceled') then 'refund_failed'
        when (p_fact ->> 'amount_minor')::bigint >= coalesce(v_topup.paid_minor, v_topup.amount_minor) then 'refunded'
        else 'partially_refunded'
    end;
end
$$;

-- How what Stripe says of a refund or a dispute of a top-up differs from what is known here; null when it does not, or when
-- it is none of a top-up's.
create function kitloop.topup_difference(p_fact jsonb) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
    select case
        when l.id is null then 'unknown_' || (p_fact ->> 'kind')
        when p_fact ->> 'kind' = 'refund' and kitloop.refund_rank(p_fact ->> 'status') > l.rank then 'status'
        when p_fact ->> 'kind' = 'dispute' and kitloop.is_dispute_over(p_fact ->> 'status') and l.rank < 3 then 'status'
    end
    from public.credit_topups t
    left join public.credit_topup_losses l
        on l.id = coalesce(p_fact ->> 'stripe_refund_id', p_fact ->> 'dispute_id')
    where t.payment_intent_id = p_fact ->> 'payment_intent_id' and p_fact ->> 'kind' in ('refund', 'dispute')
$$;

grant execute on function kitloop.start_topup(text, text, text, uuid, jsonb, bigint, bigint, text) to kitloop_app;
grant execute on function kitloop.record_checkout_session(uuid, text) to kitloop_app;
grant execute on function kitloop.spend_checkout_key(uuid, integer) to kitloop_app;
