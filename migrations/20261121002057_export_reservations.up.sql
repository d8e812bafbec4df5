-- What a paid job of the kind reservation_export reads.

-- The reservations of a provider, or a user's own (p_provider_id null); where p_from and p_to are given, those whose period
-- meets what lies between.
create function kitloop.reservations_to_export(
    p_user_id uuid, p_provider_id uuid, p_from timestamptz, p_to timestamptz
) returns setof public.reservations
language sql stable set search_path = pg_catalog, pg_temp as $$
    select r.*
    from public.reservations r
    where r.period && tstzrange(p_from, p_to) and (
        r.provider_id = p_provider_id
        or (p_provider_id is null and r.customer_id = (select c.id from public.customers c where c.user_id = p_user_id))
    )
$$;

-- The operation: those reservations as documents, by start; of a provider's, for somebody who works there, and that they
-- were read is in the audit log. Amounts are in minor units; what was paid at the counter counts as paid.
-- Outcomes: exported; forbidden, export_too_large (more than p_limit, or notes of more than 2 MiB).
create function kitloop.export_reservations(
    p_job_id uuid, p_user_id uuid, p_provider_id uuid, p_from timestamptz, p_to timestamptz, p_limit integer,
    out outcome text, out reservations jsonb
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_count bigint;
    v_notes_bytes bigint;
begin
    if p_provider_id is not null and not kitloop.is_member(p_provider_id, p_user_id) then
        outcome := 'forbidden';
        return;
    end if;
    select count(*), coalesce(sum(octet_length(e.notes)), 0) into v_count, v_notes_bytes
    from (
        select r.notes from kitloop.reservations_to_export(p_user_id, p_provider_id, p_from, p_to) r limit p_limit + 1
    ) e;
    if v_count > p_limit or v_notes_bytes > 2097152 then
        outcome := 'export_too_large';
        return;
    end if;
    select coalesce(jsonb_agg(
        jsonb_build_object(
            'reservation_id', r.id, 'provider_id', v.id, 'provider_name', v.name,
            'status', r.status, 'cancel_reason', r.cancel_reason,
            'start_date', lower(r.period), 'end_date', upper(r.period), 'lines', lines.documents,
            'amount_total_minor', r.amount_total_minor, 'currency', r.currency,
            'captured_minor', coalesce(p.captured_minor, 0), 'credited_minor', coalesce(p.credited_minor, 0),
            'paid_at', r.paid_at, 'order_number', o.number,
            'customer_name', c.name, 'customer_email', c.email, 'customer_phone', c.phone,
            'notes', r.notes, 'created_at', r.created_at
        ) order by lower(r.period), r.id
    ), '[]') into reservations
    from kitloop.reservations_to_export(p_user_id, p_provider_id, p_from, p_to) r
    join public.providers v on v.id = r.provider_id
    join public.customers c on c.id = r.customer_id
    left join public.payments p on p.reservation_id = r.id and not p.superseded
    left join public.orders o on o.reservation_id = r.id
    cross join lateral (
        select coalesce(jsonb_agg(
            jsonb_build_object('gear_id', g.id, 'name', g.name, 'quantity', l.quantity) order by g.name, g.id
        ), '[]') as documents
        from public.reservation_lines l
        join public.gear_items g on g.id = l.gear_id
        where l.reservation_id = r.id
    ) lines;
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
