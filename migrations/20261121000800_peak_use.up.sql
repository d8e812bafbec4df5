-- How much of an item is in use at the worst instant of a window.
--
-- A request fits when peak use + its quantity <= quantity_total. Summing everything that overlaps would refuse what
-- fits: two one-day rentals on different days need one unit, not two.
-- p_blocked: the window, turnaround included. p_now: read from clock_timestamp() after the item was locked.
-- p_except: a reservation whose own lines do not count. Takes no locks; the caller holds the item's row.
create function kitloop.peak_use(p_gear_id uuid, p_blocked tstzrange, p_now timestamptz, p_except uuid default null)
returns bigint
language sql stable set search_path = pg_catalog, pg_temp as $$
    with busy as (
        select greatest(lower(l.blocked), lower(p_blocked)) as starts_at, upper(l.blocked) as ends_at, l.quantity
        from public.reservation_lines l
        where l.gear_id = p_gear_id
            and l.blocked && p_blocked
            and l.blocks_until > p_now
            and l.reservation_id is distinct from p_except
    ), steps as (
        select starts_at as at, quantity as change from busy
        union all
        select ends_at, -quantity from busy
    ), use as (
        -- Ranges are half-open, so at one instant what ends goes before what starts.
        select sum(change) over (order by at, change rows between unbounded preceding and current row) as quantity
        from steps
    )
    select coalesce(max(quantity), 0) from use
$$;

-- The range an item is blocked for when it is rented for a period.
create function kitloop.blocked_range(p_start timestamptz, p_end timestamptz, p_buffer_minutes integer) returns tstzrange
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select tstzrange(p_start, p_end + make_interval(mins => p_buffer_minutes), '[)')
$$;
