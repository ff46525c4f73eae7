"""Which object answers a task."""

from gate_child import FakeChild, Neuron, neuron_class, view_of

from grader.checks.candidates import find_gate

RightAnd = neuron_class(1.0, 1.0, bias=-1.5)
Or = neuron_class(1.0, 1.0, bias=-0.5)


def find(namespace, *, names=(), bound=None):
    view = view_of(FakeChild(namespace), names=bound)
    found = find_gate(view, names, lambda a, b: a & b, 2).found
    return found and found.bound.name


def test_a_declared_name_comes_first_even_where_another_fits_better():
    assert find({"answer": Or(), "other": RightAnd()}, names=("answer",)) == "answer"


def test_a_declared_name_that_does_not_accept_falls_back_to_the_rest():
    assert find({"answer": print, "other": RightAnd()}, names=("answer",)) == "other"


def test_the_students_own_instance_comes_before_a_new_one_of_its_class():
    ruined = RightAnd()
    ruined.tensors[1][0] = 5.0
    assert find({"Neuron": RightAnd, "neuron": ruined}) == "neuron"


def test_of_one_kind_the_best_fit_is_taken_and_of_equals_the_latest():
    assert find({"a": RightAnd(), "b": Or()}) == "a"
    assert find({"a": RightAnd(), "b": RightAnd()}) == "b"


def test_a_name_counts_only_if_the_section_bound_it():
    assert find({"a": RightAnd()}, bound=()) is None


def test_a_helper_that_tests_a_neuron_is_no_candidate():
    def show(neuron):
        return [neuron([0.0, 0.0])]

    assert find({"show": show}) is None
    assert find({"neuron": RightAnd(), "show": show}) == "neuron"


def test_a_class_composed_of_named_gates_is_the_gate_and_not_its_parts():
    class Composed(Neuron):
        def __init__(self):
            self.gate = RightAnd()
            self.tensors = self.gate.tensors

        def __call__(self, x):
            return self.gate(x)

    assert find({"part": Or(), "Composed": Composed}) == "Composed"


def test_a_plain_function_of_right_answers_does_not_stand_in_for_a_wrong_neuron():
    assert find({"neuron": Or(), "expected": lambda a, b: a * b}) == "neuron"


def test_forms_are_tried_in_order():
    def two_numbers(a, b):
        return float(a + b > 1.5)

    def batch_only(rows):
        return [float(row[0] + row[1] > 1.5) for row in rows]

    for function, form in ((two_numbers, "scalars"), (batch_only, "batch"), (RightAnd(), "vector")):
        view = view_of(FakeChild({"gate": function}))
        assert find_gate(view, (), lambda a, b: a & b, 2).found.form == form
