drop trigger set_blocks_until on public.reservation_lines;
drop trigger move_blocks_until on public.reservations;
drop trigger check_transition on public.reservations;
drop function kitloop.set_blocks_until();
drop function kitloop.move_blocks_until();
drop function kitloop.check_reservation_transition();
drop function kitloop.blocks_until(text, timestamptz);
