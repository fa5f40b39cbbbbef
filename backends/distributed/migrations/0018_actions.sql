-- no-transaction
-- What operators did is read in the order of transactions, as changes of tickets are.
CREATE INDEX CONCURRENTLY operator_actions_order_idx ON operator_actions (transaction_id, position);
