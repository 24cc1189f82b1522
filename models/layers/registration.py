"""Names under which Keras finds the model classes in a file."""

from typing import TypeVar

import keras

Model = TypeVar("Model", bound=keras.Model)


def register(model_class: type[Model]) -> type[Model]:
    """Registers a model class for `.keras` and for `.h5`, and returns it.

    Keras 3 writes the registered name into a `.keras` file, but the bare name of a
    model's class into a legacy `.h5` file, so both are made known.

    Args:
        model_class: The class.

    Raises:
        ValueError: If another class has the bare name.
    """
    known = keras.saving.get_custom_objects()
    other = known.get(model_class.__name__, model_class)
    if (other.__module__, other.__qualname__) != (
        model_class.__module__,
        model_class.__qualname__,
    ):
        raise ValueError(f"{other} is already registered as {model_class.__name__!r}")
    known[model_class.__name__] = model_class
    return keras.saving.register_keras_serializable(package="facedancer")(model_class)
