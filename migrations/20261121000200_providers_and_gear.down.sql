drop table public.gear_items;
drop table public.provider_members;
drop table public.providers;
drop function kitloop.is_cancellation_policy(jsonb);
