-- What an e-mail tells, as it is when it is sent.

-- An instant on the wall clock of a place.
create function kitloop.wall_clock(p_at timestamptz, p_time_zone text) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
    select to_char(p_at at time zone p_time_zone, 'YYYY-MM-DD HH24:MI')
$$;

-- The newest dispute of a reservation, for people; null without one.
create function kitloop.dispute_document(p_reservation_id uuid, p_time_zone text) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
    select jsonb_build_object(
        'amount_minor', d.amount_minor, 'currency', d.currency, 'status', d.status, 'reason', d.reason,
        'evidence_due_by', kitloop.wall_clock(d.evidence_due_by, p_time_zone)
    )
    from public.disputes d
    join public.payments p on p.id = d.payment_id
    where p.reservation_id = p_reservation_id
    order by d.created_at desc, d.id
    limit 1
$$;

-- The money of a reservation, all its payments together, in minor units.
create function kitloop.money_document(p_reservation_id uuid) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
    select jsonb_build_object(
        'paid_minor', coalesce(sum(p.captured_minor), 0),
        'refund_minor', coalesce(sum(greatest(p.credited_minor - p.lost_minor, 0)), 0),
        'kept_minor', coalesce(sum(p.kept_minor), 0), 'owed_minor', coalesce(sum(kitloop.owed_minor(p)), 0)
    )
    from public.payments p
    where p.reservation_id = p_reservation_id and p.status = 'succeeded'
$$;

-- The document that the templates of e-mails are filled with.
create function kitloop.notification_document(p_notification public.notification_logs) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
    select jsonb_build_object(
        'kind', p_notification.kind, 'to', kitloop.notification_address(r.id, p_notification.kind),
        'provider_name', p.name, 'contact_email', p.contact_email, 'customer_name', c.name, 'reservation_id', r.id,
        'starts_at', kitloop.wall_clock(lower(r.period), p.time_zone),
        'ends_at', kitloop.wall_clock(upper(r.period), p.time_zone),
        'time_zone', p.time_zone,
        'lines', (
            select jsonb_agg(jsonb_build_object('name', g.name, 'quantity', l.quantity) order by g.name, g.id)
            from public.reservation_lines l
            join public.gear_items g on g.id = l.gear_id
            where l.reservation_id = r.id
        ),
        'amount_total_minor', r.amount_total_minor, 'currency', r.currency, 'order_number', o.number,
        'tax_minor', o.tax_minor, 'cancel_reason', r.cancel_reason, 'cancel_note', r.cancel_note,
        'dispute', kitloop.dispute_document(r.id, p.time_zone)
    ) || kitloop.money_document(r.id)
    from public.reservations r
    join public.providers p on p.id = r.provider_id
    join public.customers c on c.id = r.customer_id
    left join public.orders o on o.reservation_id = r.id
    where r.id = p_notification.reservation_id
$$;
