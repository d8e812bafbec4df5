drop policy members on public.disputes;
drop policy own_or_members on public.refunds;
drop policy own_or_members on public.payments;
drop policy own_or_members on public.reservation_lines;
drop policy own_or_members on public.reservations;
drop policy own_or_members on public.customers;
drop policy own_memberships on public.provider_members;
drop policy catalogue on public.gear_items;
drop policy catalogue on public.providers;
alter table if exists public._sqlx_migrations disable row level security;
revoke all on
public.providers, public.gear_items, public.provider_members, public.customers, public.reservations,
public.reservation_lines, public.payments, public.refunds, public.disputes
from anon, authenticated;
drop function kitloop.claims_see_customer(uuid);
drop function kitloop.claims_see_reservation(uuid);
drop function kitloop.claims_member_of(uuid);
drop function kitloop.is_member(uuid, uuid);
drop function kitloop.claims_user_id();
