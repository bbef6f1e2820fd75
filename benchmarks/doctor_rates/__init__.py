"""How often is the doctor wrong? Random models, sound and broken, and what it says of them."""
