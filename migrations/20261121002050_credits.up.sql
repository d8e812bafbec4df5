-- Credits, with which customers pay for jobs. The ledger is append-only; the balance beside it is a row that whoever
-- writes to the ledger locks, so that two who spend at once take turns and nobody spends what is not there.

create table public.credit_accounts (
    customer_id uuid primary key references public.customers,
    balance bigint not null default 0 check (balance >= 0),
    owed bigint not null default 0 check (owed >= 0)
);
comment on column public.credit_accounts.owed is
'Credits whose money went back after they had been spent: taken from what comes next.';

create table public.credit_ledger (
    id bigint generated always as identity primary key,
    customer_id uuid not null references public.customers,
    amount bigint not null,
    entry_type text not null check (entry_type in ('topup', 'hold', 'consume', 'release', 'refund', 'adjustment')),
    idempotency_key text not null unique,
    job_id uuid references public.jobs,
    reason text check (length(reason) <= 500),
    created_at timestamptz not null default now(),
    check (case entry_type
        when 'topup' then amount > 0
        when 'hold' then amount < 0
        when 'consume' then amount = 0
        when 'release' then amount > 0
        else amount <> 0
    end),
    check ((entry_type in ('hold', 'consume', 'release')) = (job_id is not null)),
    check ((entry_type = 'adjustment') = (reason is not null))
);
create index credit_ledger_by_customer on public.credit_ledger (customer_id, id);
create index credit_ledger_by_job on public.credit_ledger (job_id) where job_id is not null;
comment on column public.credit_ledger.idempotency_key is
'stripe:{event_id or checkout_session_id}:topup, topup:{topup_id}:refund:{revision}, job:{job_id}:hold|consume|release
(and :{hold_number} from the second hold on), admin:adjust:{key}; owed:{key} for what such an entry paid of a debt.';
comment on column public.credit_ledger.amount is
'hold: what a job costs, held while it waits; consume: 0, it was spent; release: it comes back.';

create trigger append_only before update or delete or truncate on public.credit_ledger
for each statement execute function kitloop.refuse_change();

alter table public.credit_accounts enable row level security;
alter table public.credit_ledger enable row level security;
revoke all on public.credit_accounts, public.credit_ledger from anon, authenticated;
grant select on public.credit_accounts, public.credit_ledger to authenticated;
create policy own_account on public.credit_accounts for select to authenticated
using (exists (
    select from public.customers c where c.id = customer_id and c.user_id = kitloop.claims_user_id()
));
create policy own_entries on public.credit_ledger for select to authenticated
using (exists (
    select from public.customers c where c.id = customer_id and c.user_id = kitloop.claims_user_id()
));

-- A customer's account, made if need be, and locked.
create function kitloop.lock_credit_account(p_customer_id uuid) returns public.credit_accounts
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_account public.credit_accounts;
begin
    insert into public.credit_accounts (customer_id) values (p_customer_id) on conflict do nothing;
    select * into strict v_account from public.credit_accounts a where a.customer_id = p_customer_id for update;
    return v_account;
end
$$;

-- Enters one line into the ledger, once for each key. What comes in pays first what is owed.
-- Outcomes: entered; replayed, insufficient_credits. Locks: the account.
create function kitloop.enter_credits(
    p_customer_id uuid, p_amount bigint, p_entry_type text, p_key text, p_job_id uuid default null,
    p_reason text default null
) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_account public.credit_accounts := kitloop.lock_credit_account(p_customer_id);
    v_collected bigint := least(v_account.owed, greatest(p_amount, 0));
begin
    if exists (select from public.credit_ledger l where l.idempotency_key = p_key) then
        return 'replayed';
    end if;
    if v_account.balance + p_amount < 0 then
        return 'insufficient_credits';
    end if;
    insert into public.credit_ledger (customer_id, amount, entry_type, idempotency_key, job_id, reason)
    values (p_customer_id, p_amount, p_entry_type, p_key, p_job_id, p_reason)
    on conflict (idempotency_key) do nothing;
    if not found then
        return 'replayed';
    end if;
    if v_collected > 0 then
        insert into public.credit_ledger (customer_id, amount, entry_type, idempotency_key)
        values (p_customer_id, -v_collected, 'refund', 'owed:' || p_key);
    end if;
    update public.credit_accounts a
    set balance = a.balance + p_amount - v_collected, owed = a.owed - v_collected
    where a.customer_id = p_customer_id;
    return 'entered';
end
$$;

-- The operation: a user's balance and a page of what it came from, newest first, before the entry that p_cursor names:
-- {balance, entries, next_cursor}. Somebody who never had credits has 0.
create function kitloop.credits(p_user_id uuid, p_cursor bigint, p_limit integer) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    with entries as (
        select l.id, jsonb_build_object(
            'entry_id', l.id, 'amount', l.amount, 'entry_type', l.entry_type, 'job_id', l.job_id, 'reason', l.reason,
            'created_at', l.created_at
        ) as document
        from public.credit_ledger l
        join public.customers c on c.id = l.customer_id
        where c.user_id = p_user_id and (p_cursor is null or l.id < p_cursor)
        order by l.id desc
        limit p_limit + 1
    ), page as (
        select e.id, e.document from entries e order by e.id desc limit p_limit
    )
    select jsonb_build_object(
        'balance', coalesce(
            (
                select a.balance from public.credit_accounts a
                join public.customers c on c.id = a.customer_id
                where c.user_id = p_user_id
            ),
            0
        ),
        'entries', (select coalesce(jsonb_agg(p.document order by p.id desc), '[]') from page p),
        'next_cursor', case when (select count(*) from entries) > p_limit then (select min(p.id) from page p) end
    )
$$;

-- The operation: an operator corrects a user's balance, up or down, by an entry of its own; what is there stays.
-- answer: {user_id, amount, balance}. Outcomes: adjusted; customer_not_found, insufficient_credits,
-- idempotency_key_reused. Locks: the account.
create function kitloop.adjust_credits(
    p_operator text, p_user_id uuid, p_amount bigint, p_reason text, p_key text,
    out outcome text, out replayed boolean, out answer jsonb
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_customer_id uuid := (select c.id from public.customers c where c.user_id = p_user_id);
    v_key text := 'admin:adjust:' || p_key;
begin
    replayed := false;
    if v_customer_id is null then
        outcome := 'customer_not_found';
        return;
    end if;
    outcome := kitloop.enter_credits(v_customer_id, p_amount, 'adjustment', v_key, null, p_reason);
    if outcome = 'insufficient_credits' then
        return;
    end if;
    replayed := outcome = 'replayed';
    if replayed and not exists (
        select from public.credit_ledger l
        where l.idempotency_key = v_key and l.customer_id = v_customer_id and l.amount = p_amount
            and l.reason = p_reason
    ) then
        outcome := 'idempotency_key_reused';
        return;
    end if;
    outcome := 'adjusted';
    answer := jsonb_build_object(
        'user_id', p_user_id, 'amount', p_amount,
        'balance', (select a.balance from public.credit_accounts a where a.customer_id = v_customer_id)
    );
    if not replayed then
        insert into public.audit_logs (actor, action, details)
        values (
            'operator:' || p_operator, 'credit_adjustment',
            jsonb_build_object('user_id', p_user_id, 'amount', p_amount, 'reason', p_reason, 'key', p_key)
        );
    end if;
end
$$;

grant execute on function kitloop.credits(uuid, bigint, integer) to kitloop_app;
grant execute on function kitloop.adjust_credits(text, uuid, bigint, text, text) to kitloop_app;
