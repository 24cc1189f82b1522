"""Names under which Keras finds the model classes in a file."""

import keras


def register(cls):
    """Registers a model class for `.keras` and for `.h5`, and returns it.

    Keras 3 writes the registered name into a `.keras` file, but the bare name of a
    model's class into a legacy `.h5` file, so both are made known.

    Args:
        cls: The class.

    Raises:
        ValueError: If another class has the bare name.
    """
    known = keras.saving.get_custom_objects()
    other = known.get(cls.__name__, cls)
    if (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ValueError(f"{other} is already registered as {cls.__name__!r}")
    known[cls.__name__] = cls
    return keras.saving.register_keras_serializable(package="facedancer")(cls)
