-- What holds for a reservation whoever writes it: its states, and until when its lines use stock.

-- Until when the lines of a reservation in this state use stock.
create function kitloop.blocks_until(p_status text, p_reserved_until timestamptz) returns timestamptz
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select case
        when p_status = 'hold' then p_reserved_until
        when p_status in ('authorized', 'confirmed', 'active') then timestamptz 'infinity'
    end
$$;

-- Refuses every change of state that the life of a reservation does not have. Raises KL001.
create function kitloop.check_reservation_transition() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if old.status is distinct from new.status and not (old.status, new.status) in (
        ('hold', 'authorized'), ('hold', 'confirmed'), ('hold', 'expired'), ('hold', 'cancelled'),
        ('expired', 'authorized'), ('expired', 'confirmed'), ('expired', 'cancelled'),
        ('authorized', 'confirmed'), ('authorized', 'cancelled'),
        ('confirmed', 'active'), ('confirmed', 'cancelled'), ('confirmed', 'no_show'),
        ('active', 'completed')
    ) then
        raise exception 'a reservation cannot go from % to %', old.status, new.status using errcode = 'KL001';
    end if;
    new.updated_at := clock_timestamp();
    return new;
end
$$;

create trigger check_transition before update on public.reservations
for each row execute function kitloop.check_reservation_transition();

-- Carries a change of state or of reserved_until to the lines.
create function kitloop.move_blocks_until() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    update public.reservation_lines l
    set blocks_until = kitloop.blocks_until(new.status, new.reserved_until)
    where l.reservation_id = new.id
        and l.blocks_until is distinct from kitloop.blocks_until(new.status, new.reserved_until);
    return null;
end
$$;

create trigger move_blocks_until after update of status, reserved_until on public.reservations
for each row execute function kitloop.move_blocks_until();

-- Gives a new line the blocks_until of its reservation.
create function kitloop.set_blocks_until() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    select kitloop.blocks_until(r.status, r.reserved_until) into new.blocks_until
    from public.reservations r
    where r.id = new.reservation_id;
    return new;
end
$$;

create trigger set_blocks_until before insert on public.reservation_lines
for each row execute function kitloop.set_blocks_until();
