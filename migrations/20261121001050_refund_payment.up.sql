-- Money that goes back. What a customer is credited with is decided once and written down (credited_minor), with the
-- refund that is to carry it; how the refund fares is another matter. What is credited and did not arrive is owed.

-- Money of a payment that was refunded or is on its way, in minor units.
create function kitloop.refunded_minor(p_payment_id uuid) returns bigint
language sql stable set search_path = pg_catalog, pg_temp as $$
    select coalesce(sum(r.amount_minor), 0)::bigint from public.refunds r
    where r.payment_id = p_payment_id and r.status in ('pending', 'requires_action', 'succeeded')
$$;

-- What is left of a payment to be refunded, in minor units.
create function kitloop.refundable_minor(p_payment public.payments) returns bigint
language sql stable set search_path = pg_catalog, pg_temp as $$
    select greatest(p_payment.captured_minor - kitloop.refunded_minor(p_payment.id) - p_payment.lost_minor, 0)
$$;

-- What a customer is credited with and has neither got back nor on its way, in minor units.
create function kitloop.owed_minor(p_payment public.payments) returns bigint
language sql stable set search_path = pg_catalog, pg_temp as $$
    select greatest(
        least(p_payment.credited_minor, p_payment.captured_minor) - kitloop.refunded_minor(p_payment.id)
            - p_payment.lost_minor,
        0
    )
$$;

-- Raises what is credited so that it covers what went back, what the bank took, and p_more_minor beyond; and whatever was
-- refunded elsewhere, also what failed, so that the order of the news does not matter. The caller holds the payment.
create function kitloop.credit(p_payment_id uuid, p_more_minor bigint) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_payment public.payments;
    v_credited_minor bigint;
begin
    select * into strict v_payment from public.payments p where p.id = p_payment_id;
    v_credited_minor := greatest(
        v_payment.credited_minor, kitloop.refunded_minor(p_payment_id) + v_payment.lost_minor + p_more_minor,
        (select sum(r.amount_minor) from public.refunds r where r.payment_id = p_payment_id and r.reason = 'external')
    );
    if v_payment.status = 'succeeded' then
        v_credited_minor := least(v_credited_minor, v_payment.captured_minor);
    end if;
    update public.payments p
    set credited_minor = v_credited_minor,
        kept_minor = greatest(least(p.kept_minor, p.captured_minor - v_credited_minor), 0),
        updated_at = clock_timestamp()
    where p.id = p_payment_id and p.credited_minor <> v_credited_minor;
end
$$;

-- Writes a refund that Stripe is to make, with its job. The caller holds the payment.
create function kitloop.insert_refund(p_payment public.payments, p_amount_minor bigint, p_reason text, p_note text)
returns public.refunds
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_refund public.refunds;
begin
    insert into public.refunds (payment_id, amount_minor, currency, reason, note)
    values (p_payment.id, p_amount_minor, p_payment.currency, p_reason, p_note)
    returning * into v_refund;
    insert into public.jobs (kind, payment_id, refund_id, run_after)
    values ('refund_payment', p_payment.id, v_refund.id, clock_timestamp());
    return v_refund;
end
$$;

-- Decides that money of a payment goes back, at most what is left of it, and has Stripe do it. What was paid at the
-- counter is owed until staff says that it was handed back. All null when nothing is left. The caller holds the payment.
create function kitloop.refund_payment(
    p_payment_id uuid, p_amount_minor bigint, p_reason text, p_note text default null
) returns public.refunds
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_payment public.payments;
    v_amount_minor bigint;
begin
    select * into strict v_payment from public.payments p where p.id = p_payment_id;
    v_amount_minor := least(p_amount_minor, kitloop.refundable_minor(v_payment));
    if v_amount_minor <= 0 then
        return null;
    end if;
    -- What staff asks for may be what is owed already, sent another way; every other reason is one more.
    perform kitloop.credit(
        p_payment_id,
        v_amount_minor + case p_reason when 'requested' then 0 else kitloop.owed_minor(v_payment) end
    );
    if v_payment.method = 'card' then
        return kitloop.insert_refund(v_payment, v_amount_minor, p_reason, p_note);
    end if;
    return null;
end
$$;

-- Takes back from refunds that Stripe does not have yet what is beyond p_limit_minor together with all other refunds and
-- with what the bank took: somebody refunded elsewhere, the bank took the money, or a refund that was given up has
-- arrived after all. Another amount needs another key at Stripe. The caller holds the payment.
create function kitloop.shrink_unsent_refunds(p_payment_id uuid, p_limit_minor bigint) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_excess_minor bigint;
    v_refund public.refunds;
begin
    select kitloop.refunded_minor(p.id) + p.lost_minor - p_limit_minor into v_excess_minor
    from public.payments p
    where p.id = p_payment_id and p.status = 'succeeded';
    if not found then
        return;
    end if;
    for v_refund in
        select * from public.refunds r
        where r.payment_id = p_payment_id and r.status = 'pending' and r.stripe_refund_id is null and not r.is_offline
        order by r.created_at desc, r.id
        for update
    loop
        exit when v_excess_minor <= 0;
        update public.refunds r
        set status = case when r.amount_minor <= v_excess_minor then 'canceled' else r.status end,
            amount_minor = case
                when r.amount_minor <= v_excess_minor then r.amount_minor
                else r.amount_minor - v_excess_minor
            end,
            updated_at = clock_timestamp()
        where r.id = v_refund.id;
        update public.jobs j set generation = j.generation + 1
        where j.refund_id = v_refund.id and j.status in ('queued', 'running');
        v_excess_minor := v_excess_minor - v_refund.amount_minor;
    end loop;
end
$$;

-- How many refunds of a payment failed at Stripe, or were refused by it; after three a person has to look.
create function kitloop.failed_refunds(p_payment_id uuid) returns bigint
language sql stable set search_path = pg_catalog, pg_temp as $$
    select count(*) from public.refunds r
    where r.payment_id = p_payment_id and (
        r.status = 'failed' or r.status = 'canceled' and exists (
            select from public.jobs j
            where j.payment_id = p_payment_id and j.refund_id = r.id and j.status = 'failed'
        )
    )
$$;

-- The refund of a payment that did not arrive, of several the last: its reason.
create function kitloop.last_failed_reason(p_payment_id uuid) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
    select r.reason from public.refunds r
    where r.payment_id = p_payment_id and r.status in ('failed', 'canceled')
    order by r.updated_at desc, r.id
    limit 1
$$;

-- Whether it takes a person to get back to the customer what is owed: three refunds have failed, or one that was made
-- elsewhere, which is theirs to make again, or it is the rest of what the bank took in part, of which Stripe refunds
-- nothing any more.
create function kitloop.takes_a_person(p_payment_id uuid) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
    select coalesce(kitloop.last_failed_reason(p_payment_id) = 'external', false)
        or kitloop.failed_refunds(p_payment_id) >= 3
        or exists (select from public.disputes d where d.payment_id = p_payment_id and d.status = 'lost')
$$;

-- Sends again what is owed of a card payment, by another refund, or tells the provider that somebody has to look. All null
-- if none is sent. The caller holds the payment.
create function kitloop.resend_refund(p_payment_id uuid) returns public.refunds
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_payment public.payments;
begin
    select * into strict v_payment from public.payments p where p.id = p_payment_id;
    if kitloop.owed_minor(v_payment) = 0 or v_payment.method <> 'card' then
        return null;
    end if;
    if kitloop.takes_a_person(p_payment_id) then
        perform kitloop.notify(v_payment.reservation_id, 'refund_failed');
        return null;
    end if;
    return kitloop.insert_refund(
        v_payment, kitloop.owed_minor(v_payment),
        coalesce(kitloop.last_failed_reason(p_payment_id), 'cancellation'), null
    );
end
$$;
