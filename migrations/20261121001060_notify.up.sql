-- E-mails are written down with the decision that they tell of, and sent by the worker.

-- Who is told: the provider of what they have to see to, else the customer.
create function kitloop.notification_address(p_reservation_id uuid, p_kind text) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
    select case
        when p_kind in ('conflict_notice', 'inquiry_opened', 'dispute_opened', 'dispute_closed', 'refund_failed')
            then p.contact_email
        else c.email
    end
    from public.reservations r
    join public.providers p on p.id = r.provider_id
    join public.customers c on c.id = r.customer_id
    where r.id = p_reservation_id
$$;

-- Has an e-mail sent, once for each reservation and kind.
create function kitloop.notify(p_reservation_id uuid, p_kind text) returns void
language sql set search_path = pg_catalog, pg_temp as $$
    with notification as (
        insert into public.notification_logs (reservation_id, kind, status)
        values (
            p_reservation_id, p_kind,
            case when kitloop.notification_address(p_reservation_id, p_kind) is null then 'no_address' else 'queued' end
        )
        on conflict do nothing
        returning id, status
    )
    insert into public.jobs (kind, notification_id, run_after)
    select 'send_email', n.id, clock_timestamp() from notification n where n.status = 'queued'
$$;
