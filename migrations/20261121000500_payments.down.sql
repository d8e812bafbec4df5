drop table public.refunds;
drop table public.payments;
