-- What a paid job of the kind reservation_export reads.

-- One reservation as it is exported. Amounts are in minor units; what was paid at the counter counts as paid.
create function kitloop.exported_reservation(p_reservation public.reservations) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
    select jsonb_build_object(
        'reservation_id', p_reservation.id, 'provider_id', v.id, 'provider_name', v.name,
        'status', p_reservation.status, 'cancel_reason', p_reservation.cancel_reason,
        'start_date', lower(p_reservation.period), 'end_date', upper(p_reservation.period),
        'lines', (
            select jsonb_agg(
                jsonb_build_object('gear_id', g.id, 'name', g.name, 'quantity', l.quantity) order by g.name, g.id
            )
            from public.reservation_lines l
            join public.gear_items g on g.id = l.gear_id
            where l.reservation_id = p_reservation.id
        ),
        'amount_total_minor', p_reservation.amount_total_minor, 'currency', p_reservation.currency,
        'captured_minor', coalesce(p.captured_minor, 0),
        'refunded_minor', case when p.id is null then 0 else kitloop.refunded_minor(p.id) end,
        'paid_at', p_reservation.paid_at, 'order_number', o.number,
        'customer_name', c.name, 'customer_email', c.email, 'customer_phone', c.phone,
        'notes', p_reservation.notes, 'created_at', p_reservation.created_at
    )
    from public.providers v
    join public.customers c on c.id = p_reservation.customer_id
    left join public.payments p on p.reservation_id = p_reservation.id and not p.superseded
    left join public.orders o on o.reservation_id = p_reservation.id
    where v.id = p_reservation.provider_id
$$;

-- The operation: the reservations of a provider, for somebody who works there, or a user's own (p_provider_id null), by
-- start; where p_from and p_to are given, those whose period meets what lies between. That somebody read a shop's
-- reservations is in the audit log.
-- Outcomes: exported; forbidden, export_too_large (more than p_limit).
create function kitloop.export_reservations(
    p_job_id uuid, p_user_id uuid, p_provider_id uuid, p_from timestamptz, p_to timestamptz, p_limit integer,
    out outcome text, out reservations jsonb
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_count bigint;
begin
    if p_provider_id is not null and not kitloop.is_member(p_provider_id, p_user_id) then
        outcome := 'forbidden';
        return;
    end if;
    select count(*), coalesce(jsonb_agg(e.document order by e.starts_at, e.id), '[]') into v_count, reservations
    from (
        select r.id, lower(r.period) as starts_at, kitloop.exported_reservation(r) as document
        from public.reservations r
        join public.customers c on c.id = r.customer_id
        where (r.provider_id = p_provider_id or (p_provider_id is null and c.user_id = p_user_id))
            and r.period && tstzrange(p_from, p_to)
        limit p_limit + 1
    ) e;
    if v_count > p_limit then
        outcome := 'export_too_large';
        reservations := null;
        return;
    end if;
    outcome := 'exported';
    if p_provider_id is not null then
        insert into public.audit_logs (actor, action, provider_id, details)
        values (
            'user:' || p_user_id, 'reservation_export', p_provider_id,
            jsonb_build_object('job_id', p_job_id, 'reservations', v_count)
        );
    end if;
end
$$;

grant execute on function kitloop.export_reservations(
    uuid, uuid, uuid, timestamptz, timestamptz, integer
) to kitloop_app;
