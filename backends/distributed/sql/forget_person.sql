-- forget_person: what the person $1 has submitted up to $2 is to be stored erased.
SELECT forget_person($1, $2)
