drop table public.reservation_lines;
drop table public.reservations;
drop table public.customers;
