drop table public.disputes;
drop table public.refunds;
drop table public.payments;
