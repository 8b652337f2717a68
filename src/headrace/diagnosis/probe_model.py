"""A Triton model that needs nothing but numpy: numbers come back plus one, text as it was.

Copied as `model.py` into a scratch repository and run by Triton's own Python.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """What Triton's Python backend loads."""

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer each request."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        def given(name: str) -> np.ndarray:
            array: np.ndarray = pb_utils.get_input_tensor_by_name(request, name).as_numpy()
            return array

        one_more = [
            pb_utils.Tensor(f"{name}_PLUS_ONE", given(name) + np.ones((), given(name).dtype))
            for name in ("INTEGERS", "FLOATS")
        ]
        text = pb_utils.Tensor("TEXT_AGAIN", given("TEXT"))
        return pb_utils.InferenceResponse(output_tensors=[*one_more, text])
