"""Keeps resources, watches them and carries out controllers' plans; knows neither Linux nor any domain."""
