-- Receipts: one order for each paid reservation, and credit notes for what a customer gets back. Both have numbers without
-- gaps, and are written by deferred triggers, in the transaction that made them due: nobody can forget them, and the
-- counter of the provider is locked last, at the commit.

create table public.document_counters (
    provider_id uuid not null references public.providers,
    kind text not null check (kind in ('order', 'credit_note')),
    last_number bigint not null,
    primary key (provider_id, kind)
);

create table public.orders (
    id uuid primary key default gen_random_uuid(),
    provider_id uuid not null references public.providers,
    number bigint not null,
    reservation_id uuid not null unique references public.reservations,
    payment_id uuid not null references public.payments,
    amount_minor bigint not null check (amount_minor >= 0),
    currency text not null,
    tax_rate_basis_points integer not null,
    tax_minor bigint not null check (tax_minor between 0 and amount_minor),
    issued_at timestamptz not null default now(),
    unique (provider_id, number)
);
create index orders_by_payment on public.orders (payment_id);
comment on column public.orders.tax_minor is 'Included in amount_minor.';

create table public.order_lines (
    order_id uuid not null references public.orders,
    position integer not null,
    description text not null,
    quantity integer not null,
    days bigint not null,
    unit_price_minor bigint not null,
    amount_minor bigint not null,
    primary key (order_id, position)
);
comment on column public.order_lines.amount_minor is
'The lines add up to the order: a price that staff set is balanced by a last line.';

create table public.credit_notes (
    id uuid primary key default gen_random_uuid(),
    provider_id uuid not null references public.providers,
    number bigint not null,
    order_id uuid not null references public.orders,
    amount_minor bigint not null check (amount_minor > 0),
    currency text not null,
    tax_minor bigint not null check (tax_minor between 0 and amount_minor),
    issued_at timestamptz not null default now(),
    unique (provider_id, number)
);
create index credit_notes_by_order on public.credit_notes (order_id);

create trigger append_only before update or delete or truncate on public.orders
for each statement execute function kitloop.refuse_change();
create trigger append_only before update or delete or truncate on public.order_lines
for each statement execute function kitloop.refuse_change();
create trigger append_only before update or delete or truncate on public.credit_notes
for each statement execute function kitloop.refuse_change();

alter table public.document_counters enable row level security;
alter table public.orders enable row level security;
alter table public.order_lines enable row level security;
alter table public.credit_notes enable row level security;
revoke all on public.document_counters, public.orders, public.order_lines, public.credit_notes from anon, authenticated;
grant select on public.orders, public.order_lines, public.credit_notes to authenticated;
create policy own_or_members on public.orders for select to authenticated
using (kitloop.claims_see_reservation(reservation_id));
create policy own_or_members on public.order_lines for select to authenticated
using (exists (select from public.orders o where o.id = order_id));
create policy own_or_members on public.credit_notes for select to authenticated
using (exists (select from public.orders o where o.id = order_id));

-- The next number of a provider's documents of a kind. Locks the counter until the transaction ends.
create function kitloop.next_number(p_provider_id uuid, p_kind text) returns bigint
language sql set search_path = pg_catalog, pg_temp as $$
    insert into public.document_counters as c (provider_id, kind, last_number)
    values (p_provider_id, p_kind, 1)
    on conflict (provider_id, kind) do update set last_number = c.last_number + 1
    returning c.last_number
$$;

-- The tax within an amount, in minor units, half a unit rounded up.
create function kitloop.included_tax(p_amount_minor bigint, p_rate_basis_points integer) returns bigint
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select (2 * p_amount_minor * p_rate_basis_points + 10000 + p_rate_basis_points)
        / (2 * (10000 + p_rate_basis_points))
$$;

-- Writes the lines of an order, as the gear is called now, and the line that balances a price set by staff.
create function kitloop.write_order_lines(p_order public.orders) returns void
language sql set search_path = pg_catalog, pg_temp as $$
    with lines as (
        select row_number() over (order by g.name, g.id)::integer as position, g.name as description, l.quantity,
            kitloop.charged_days(lower(r.period), upper(r.period), p.time_zone) as days, l.unit_price_minor
        from public.reservations r
        join public.providers p on p.id = r.provider_id
        join public.reservation_lines l on l.reservation_id = r.id
        join public.gear_items g on g.id = l.gear_id
        where r.id = p_order.reservation_id
    ), priced as (
        select l.*, l.quantity * l.days * l.unit_price_minor as amount_minor from lines l
    ), balance as (
        select count(*)::integer + 1 as position, p_order.amount_minor - sum(l.amount_minor)::bigint as amount_minor
        from priced l
    )
    insert into public.order_lines (order_id, position, description, quantity, days, unit_price_minor, amount_minor)
    select p_order.id, l.position, l.description, l.quantity, l.days, l.unit_price_minor, l.amount_minor from priced l
    union all
    select p_order.id, b.position, 'Agreed price', 1, 1, b.amount_minor, b.amount_minor from balance b
    where b.amount_minor <> 0
$$;

-- Issues the credit note that an order lacks for what its payment is credited with; nothing if it lacks none. Its tax is
-- what is missing of the tax within all that is credited, so that the parts add up to the tax of the order.
-- Locks: the counter.
create function kitloop.issue_credit_note(p_payment_id uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_order public.orders;
    v_credited_minor bigint;
    v_noted_minor bigint;
    v_noted_tax_minor bigint;
begin
    select * into v_order from public.orders o where o.payment_id = p_payment_id;
    select least(p.credited_minor, p.captured_minor) into v_credited_minor from public.payments p
    where p.id = v_order.payment_id;
    select coalesce(sum(n.amount_minor), 0), coalesce(sum(n.tax_minor), 0) into v_noted_minor, v_noted_tax_minor
    from public.credit_notes n
    where n.order_id = v_order.id;
    if v_credited_minor > v_noted_minor then
        insert into public.credit_notes (provider_id, number, order_id, amount_minor, currency, tax_minor)
        values (
            v_order.provider_id, kitloop.next_number(v_order.provider_id, 'credit_note'), v_order.id,
            v_credited_minor - v_noted_minor, v_order.currency,
            kitloop.included_tax(v_credited_minor, v_order.tax_rate_basis_points) - v_noted_tax_minor
        );
    end if;
end
$$;

-- Issues the order of a reservation that has just been paid. Locks: the counter.
create function kitloop.issue_order() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_order public.orders;
begin
    insert into public.orders (
        provider_id, number, reservation_id, payment_id, amount_minor, currency, tax_rate_basis_points, tax_minor
    )
    select new.provider_id, kitloop.next_number(new.provider_id, 'order'), new.id, m.id, m.captured_minor, m.currency,
        p.tax_rate_basis_points, kitloop.included_tax(m.captured_minor, p.tax_rate_basis_points)
    from public.payments m
    join public.providers p on p.id = new.provider_id
    where m.reservation_id = new.id and not m.superseded
    returning * into strict v_order;
    perform kitloop.write_order_lines(v_order);
    perform kitloop.issue_credit_note(v_order.payment_id);
    return null;
end
$$;

create constraint trigger issue_order after update of paid_at on public.reservations
deferrable initially deferred for each row
when (old.paid_at is null and new.paid_at is not null) execute function kitloop.issue_order();

-- Issues the credit note for what a payment has just been credited with, if an order was issued for it.
create function kitloop.issue_credit_note_of_payment() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform kitloop.issue_credit_note(new.id);
    return null;
end
$$;

create constraint trigger issue_credit_note after update of credited_minor on public.payments
deferrable initially deferred for each row
when (new.credited_minor > old.credited_minor) execute function kitloop.issue_credit_note_of_payment();
