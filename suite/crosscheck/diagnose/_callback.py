    Keras shows a callback the model, and not the data: unless they are given here, they are read from the
    call of `fit` that is under way, where they stand under their own names. A generator is not read, for what is
    read of it could not be trained on; then, and where there is no such call, it says so.

