-- The attribution of every account as it was when this was made anew.
SELECT account_id, dimension, member, currency, pnl FROM `{database}`.attribution
