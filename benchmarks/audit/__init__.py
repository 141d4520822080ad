"""Training loops of other libraries, right ones and wrong ones, and what `tf_rnn.audit` reads of them."""
