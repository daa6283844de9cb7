"""Parts of ``benchmarks/recipe.py``: which factors of the recipe pay, by Dice at equal seconds."""
