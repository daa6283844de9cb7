"""x"""


class SearchSpace:
    pass
